"""What the tests of several rooms share. Nothing here is collected as a test."""
