"""Text from outside, made fit for a line of a log or a terminal."""


def printable(text: str) -> str:
    """
    *text* on one line, with control characters and those that turn the reading direction escaped, so that no
    name or answer can forge a line or speak to a terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
