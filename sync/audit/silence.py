"""
Silence: say when the feed shows nothing at a time at which it usually shows much (semantics 6.4).

No stream can show that it has fallen silent: an empty answer is as good as any. So each hour is compared with
the same hour of the weeks before.
"""

import time

import structlog

from state.findings import Condition
from state.instants import to_text
from state.store import Store

log = structlog.get_logger()

# The id of the condition in the state file.
_FEED = "feed"


class SilenceWatch:
    """
    Look now and then whether the feed is silent. A poll does so at its end.

    It judges by the watermark, which follows Gladly's clock, and by hours that were watched whole. So neither
    a wrong clock of this machine nor a stop of the sync looks like silence. Silence ends when the feed shows
    a change again, and not when a quiet hour begins.

    Args:
        store: The state file.
        every_s: It looks this often, in seconds.
    """

    def __init__(self, store: Store, every_s: float) -> None:
        self._store = store
        self._every_s = every_s
        self._due = 0.0  # monotonic

    def look(self) -> None:
        """
        Look, when it is time to.

        Raises:
            StateError: The state file could not be written. The next poll looks again.
        """
        position = self._store.watermark()
        if position is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._every_s
        began = self._store.conditions.since(_FEED)
        if began is not None:
            if self._store.feed_hours.has_shown_since(began):
                self._store.conditions.clear(_FEED)
                log.info("feed.resumed", silent_since=to_text(began))
            return
        since = self._store.feed_hours.silent_since(position)
        if since is not None:
            self._store.conditions.set(
                Condition(
                    _FEED,
                    "silent feed",
                    f"Gladly's feed has shown nothing since {to_text(since)}, though it showed at least 10"
                    " changes in each of the same hours of the weeks before. Look in Gladly whether anything"
                    " happened. If something did, ask Gladly's support. `gladly-segment resync` takes it in.",
                    f"gladly-segment resync --since {to_text(since)}",
                ),
                since,
            )
            log.warning("feed.silent", since=to_text(since))
