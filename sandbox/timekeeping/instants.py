"""How Gladly writes moments: milliseconds in events, anything from 0 to 9 digits in objects."""

import re
import zlib
from datetime import UTC, datetime, timedelta

# RFC 3339: a date, a time, up to nine fractional digits, and `Z` or an offset. A plus sign that was not
# percent-encoded arrives as a space and fails here, as it does at Gladly.
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)",
)


def floor_ms(instant: datetime) -> datetime:
    """Cut *instant* down to whole milliseconds in UTC: the precision of the change feed."""
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def event_time(instant: datetime) -> str:
    """Write *instant* as events do: `2026-11-02T09:30:00.120Z`."""
    return instant.isoformat(timespec="milliseconds")[:-6] + "Z"


def object_time(instant: datetime, key: str) -> str:
    """
    Write *instant* as objects do: trailing zeros gone, sometimes micro- or nanoseconds.

    The same *key* always gives the same digits. They only ever add to *instant*, by less than a
    millisecond, so cutting the text to milliseconds gives *instant* back.
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
    """Read an RFC 3339 instant; None where it is not one. Digits beyond microseconds are cut off."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    date, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        return moment.astimezone(UTC) + timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))
    except (ValueError, OverflowError):
        return None
