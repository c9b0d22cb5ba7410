"""How Gladly writes instants: with milliseconds in events, with 0 to 9 fractional digits in objects."""

import re
import zlib
from datetime import UTC, datetime, timedelta

# RFC 3339: a date, a time, up to nine fractional digits, and `Z` or an offset. A plus sign that was not
# percent-encoded arrives as a space. It is refused here, as at Gladly.
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)",
)


def floor_ms(instant: datetime) -> datetime:
    """Return *instant* in UTC, cut to whole milliseconds, which is the precision of the change feed."""
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def event_time(instant: datetime) -> str:
    """Return *instant* as events show it: `2026-11-02T09:30:00.120Z`."""
    return instant.isoformat(timespec="milliseconds")[:-6] + "Z"


def object_time(instant: datetime, key: str) -> str:
    """
    Return *instant* as objects show it: without trailing zeros, sometimes with micro- or nanoseconds.

    The digits below the millisecond only add to *instant*, so cutting the text to milliseconds gives
    *instant* back.

    Args:
        instant: An aware UTC datetime in whole milliseconds.
        key: Decides the digits; the same key always gives the same ones.
    """
    noise = zlib.crc32(key.encode("utf-8", "surrogatepass"))
    digits = f"{instant.microsecond // 1000:03d}"
    if noise % 4 == 0:
        digits += f"{noise // 7 % 1_000_000:06d}"
    elif noise % 4 == 1:
        digits += f"{noise // 7 % 1000:03d}"
    digits = digits.rstrip("0")
    return instant.strftime("%Y-%m-%dT%H:%M:%S") + (f".{digits}" if digits else "") + "Z"


def parse_instant(text: str) -> datetime | None:
    """Return the instant that an RFC 3339 *text* names, cut to microseconds, or None for any other text."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    date, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        return moment.astimezone(UTC) + timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))
    except (ValueError, OverflowError):
        return None
