"""Others doing the same job, or half of it."""
