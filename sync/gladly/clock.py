"""
What time it is at Gladly, as far as that can be believed (semantics 3.2).

The watermark follows Gladly's clock, so a clock that is ahead would lose what is recorded until then. No
clock is therefore believed alone:

* `Date` in Gladly's answers. In an answer that shows an `Age`, it is a cache's, and counts for nothing.
* Our own clock, unless what Gladly recorded proves that ours is behind.
* The instant believed last, and the time that has passed since, by a clock that nobody sets. It gives way
  where `Date` and our own clock agree, as after a pause of the whole machine.

The earliest of them counts. Where that is too early, a stretch is read again, and nothing else happens.
"""

import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from state.instants import utc_now
from sync.http.headers import server_date

log = structlog.get_logger()

# Two clocks that differ by less than this agree: `Date` has whole seconds, and an answer takes a moment.
AGREEMENT = timedelta(seconds=5)

# The monotonic clock stands still while the machine sleeps, and this one does not.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Moment(NamedTuple):
    """
    Hold what every clock said when an answer's head arrived.

    Attributes:
        date: Gladly's clock; None when the answer is no witness.
        ours: Our own clock.
        steady_s: The clock that nobody sets, in seconds since some instant.
    """

    date: datetime | None
    ours: datetime
    steady_s: float


class GladlyClock:
    """Weighs what the clocks say. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: Moment | None = None  # the last that had a `Date`
        self._believed: tuple[datetime, float] | None = None
        self._proved: tuple[datetime, float] | None = None
        self._skew_told = False

    def hear(self, headers: Mapping[str, str]) -> Moment:
        """Note what an answer's headers say of the time, and return it with what the other clocks say."""
        date = None if "Age" in headers else server_date(headers)
        moment = Moment(date, utc_now(), time.clock_gettime(_STEADY))
        if date is not None:
            with self._lock:
                self._heard = moment
                skew = moment.ours - date
                tells = abs(skew) > AGREEMENT and not self._skew_told
                self._skew_told = self._skew_told or tells
            if tells:
                log.warning(
                    "clock.skewed",
                    seconds=round(skew.total_seconds()),
                    note="this machine's clock against Gladly's",
                )
        return moment

    def prove(self, instant: datetime, moment: Moment) -> None:
        """
        Note that it was *instant* already at *moment*: Gladly has recorded something then.

        Nothing is proved where the `Date` of the same answer contradicts it.
        """
        if moment.date is None or instant > moment.date + AGREEMENT:
            return
        with self._lock:
            if self._proved is None or instant > _at(self._proved, moment):
                self._proved = instant, moment.steady_s

    def prove_now(self, instant: datetime) -> None:
        """Note that it was *instant* already when Gladly last answered, as `prove` does."""
        with self._lock:
            heard = self._heard
        if heard is not None:
            self.prove(instant, heard)

    def believed(self, moment: Moment) -> datetime:
        """Return the latest instant that it can have been at Gladly at *moment*."""
        with self._lock:
            last = _at(self._believed, moment) if self._believed else None
            believed = min(self._witnesses(moment, last))
            agree = moment.date is not None and abs(moment.date - moment.ours) <= AGREEMENT
            if moment.date is not None:
                # A `Date` that is behind for once does not hold the later ones back.
                kept = believed if agree or last is None else max(believed, last)
                self._believed = kept, moment.steady_s
        return believed

    def _witnesses(self, moment: Moment, last: datetime | None) -> list[datetime]:
        proved = _at(self._proved, moment) - AGREEMENT if self._proved else None
        witnesses = [] if moment.date is None else [moment.date]
        if proved is None or moment.ours >= proved:
            witnesses.append(moment.ours)
        agree = moment.date is not None and abs(moment.date - moment.ours) <= AGREEMENT
        if last is not None and not agree and (proved is None or last >= proved):
            witnesses.append(last)
        return witnesses or [max(moment.ours, last or moment.ours)]

    def now(self) -> datetime | None:
        """Return what is believed of the present. Return None before the first answer was weighed."""
        with self._lock:
            if self._believed is None:
                return None
            return _at(self._believed, Moment(None, utc_now(), time.clock_gettime(_STEADY)))

    @property
    def heard(self) -> datetime | None:
        """Gladly's own clock now, as its last answer told it, believed or not."""
        with self._lock:
            heard = self._heard
        if heard is None or heard.date is None:
            return None
        return heard.date + timedelta(seconds=time.clock_gettime(_STEADY) - heard.steady_s)

    @property
    def skew(self) -> timedelta:
        """How far our clock was ahead of Gladly's at its last answer."""
        heard = self._heard
        return heard.ours - heard.date if heard is not None and heard.date is not None else timedelta(0)


def _at(known: tuple[datetime, float], moment: Moment) -> datetime:
    """Return an instant known at one time, as it is at *moment*."""
    instant, steady_s = known
    return instant + timedelta(seconds=moment.steady_s - steady_s)
