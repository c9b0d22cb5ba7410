"""
Makes text from outside safe to look at.

Jinja escapes what HTML reads as markup. What is left are characters that change how *other* text looks:
terminal escapes, and controls that reverse the direction of the text that follows. They are shown as JSON
writes them. `assets/common.js` does the same for what scripts show.
"""

import json
import re
from typing import Any

# C0 without tab and line feed, DEL and C1; soft hyphen; zero-width and direction marks, embeddings,
# overrides, isolates; line and paragraph separators; byte order mark; tags.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def visible(text: object) -> str:
    """Return *text* with every invisible control written out, as in `\\u202e`."""
    return _INVISIBLE.sub(_written_out, str(text))


def pretty_json(payload: str | None) -> str | None:
    """Indent a payload for people and write out its invisible controls. It is still the same JSON."""
    if payload is None:
        return None
    try:
        value: Any = json.loads(payload)
    except ValueError:
        return visible(payload)
    return visible(json.dumps(value, indent=2, ensure_ascii=False))


def _written_out(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]
