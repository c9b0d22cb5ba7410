"""Escape text from outside, for a line of a log or a terminal."""


def printable(text: str) -> str:
    """
    Return *text* on one line.

    Control characters and characters that change the reading direction are escaped. So no name and no answer
    can forge a log line or control a terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
