"""Write what Gladly's own integration delivered, in the forms in which Segment hands it out."""

import csv
import gzip
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from state.instants import from_text

Wire = dict[str, Any]


def as_theirs(events: Iterable[Wire]) -> list[Wire]:
    """Return events as Gladly's integration would have delivered them: Segment's own ids."""
    return [event | {"messageId": f"api-{number}"} for number, event in enumerate(events)]


def raw_lines(events: Iterable[Wire]) -> bytes:
    """Return events as JSON lines."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def write_as_s3(folder: Path, events: Iterable[Wire]) -> Path:
    """Write events as Segment's S3 destination does: a folder for each day, and gzipped lines in it."""
    days: dict[int, list[Wire]] = {}
    for event in events:
        midnight = from_text(event["receivedAt"]).replace(hour=0, minute=0, second=0, microsecond=0)
        days.setdefault(int(midnight.timestamp() * 1000), []).append(event)
    for day, those in days.items():
        directory = folder / "segment-logs" / "sourceId" / str(day)
        directory.mkdir(parents=True)
        for n in range(0, len(those), 2):
            (directory / f"{n}.gz").write_bytes(gzip.compress(raw_lines(those[n : n + 2])))
    return folder


def snake(name: str) -> str:
    """Return a name as a warehouse writes it."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def write_as_table(path: Path, events: Iterable[Wire]) -> Path:
    """Write events as a warehouse exports a table: no fractions of seconds, flattened custom attributes."""
    rows = []
    for event in events:
        properties = dict(event["properties"])
        attributes = properties.pop("customAttributes", {})
        row = {
            "id": event["messageId"],
            "user_id": event["userId"],
            "event": snake(event["event"].replace(" ", "")),
            "event_text": event["event"],
        }
        for name, key in (
            ("receivedAt", "received_at"),
            ("timestamp", "timestamp"),
            ("originalTimestamp", "original_timestamp"),
        ):
            at = datetime.fromisoformat(event[name]).astimezone(UTC)
            row[key] = at.strftime("%Y-%m-%d %H:%M:%S UTC")
        row |= {snake(k): json.dumps(v) if isinstance(v, list) else v for k, v in properties.items()}
        row |= {f"custom_attributes_{snake(k)}": v for k, v in attributes.items()}
        rows.append(row)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, columns, restval="")
        table.writeheader()
        table.writerows(rows)
    return path
