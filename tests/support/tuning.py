"""The numbers behind the settings (`Tuning`), as one test wants them."""

from typing import Any

from sync.pipeline.cycle import CycleTiming
from sync.pipeline.look_up.timing import LookUpTiming
from sync.runtime.build import Tuning

# A 404 is believed as soon as it is answered twice, and no event waits for changes that show late.
AT_ONCE = LookUpTiming(not_found_again_s=0.0, waits_for_late_changes=False)


class Tuned:
    """
    Changes the numbers that the sync is built with from then on: `tuned(retry={"max_attempts": 1})`.

    Attributes:
        values: What the sync is built with. Tests run cycles in a row, so each cycle is written,
            and a 404 is believed as soon as it is answered twice.
    """

    def __init__(self) -> None:
        self.values = Tuning(cycle=CycleTiming(uneventful_every_s=0.0), look_up=AT_ONCE)

    def __call__(self, **parts: Any) -> None:
        """Change parts of the tuning, of a part that has fields only the fields named."""
        self.values = self.values._replace(
            **{
                part: getattr(self.values, part)._replace(**value) if isinstance(value, dict) else value
                for part, value in parts.items()
            }
        )
