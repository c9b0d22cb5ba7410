"""Credentials as they are sent, and as they are recognised in what a host says."""

from base64 import b64decode

import pytest

from sync.http.credentials import BasicCredentials, BearerCredentials


@pytest.mark.parametrize(
    ("username", "password"),
    [("ana@example.com", "token"), ("write-key", ""), ("ünï", "pass:word"), ("", "x")],
)
def test_the_header_is_basic_and_utf_8(username, password):
    """The user name ends at the first colon (RFC 7617)."""
    kind, encoded = BasicCredentials(username, password).authorization().split(" ")
    assert kind == "Basic"
    assert b64decode(encoded).decode() == f"{username}:{password}"


def test_the_password_is_the_secret_and_the_user_name_is_not():
    """A message may name the user. It shows no form of the password."""
    credentials = BasicCredentials("ana@example.com", "to/ken")
    assert {"to/ken", "to%2Fken"} < set(credentials.secrets())
    assert credentials.authorization().removeprefix("Basic ") in credentials.secrets()
    assert "ana@example.com" not in credentials.secrets()


def test_a_user_name_without_a_password_is_the_secret():
    """Segment's write key is one."""
    assert "write-key" in BasicCredentials("write-key", "").secrets()


def test_no_secret_is_empty():
    """An empty text would be cut out of everything."""
    assert all(BasicCredentials("", "").secrets())


def test_a_bearer_token_is_sent_as_it_is_and_is_a_secret():
    """The token is a secret in both forms in which a host may repeat it."""
    credentials = BearerCredentials("to/ken")
    assert credentials.authorization() == "Bearer to/ken"
    assert set(credentials.secrets()) == {"to/ken", "to%2Fken"}
    assert all(BearerCredentials("").secrets())
