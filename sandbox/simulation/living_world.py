"""A world in which a simulation runs."""

from datetime import timedelta

from sandbox.simulation.simulation import Simulation
from sandbox.timekeeping.clock import Clock
from sandbox.world.history import locked
from sandbox.world.records import Truth
from sandbox.world.world import World


class LivingWorld(World):
    """
    A `World` that also lives on its own. It catches up with the clock in `run_to_now` and in `truth`.

    Args:
        clock: As for `World`.
        seed: As for `World`.
        tempo: How lively the world is: 1 like a small support team, 20 twenty times as busy. Must be above 0.
        lateness_s: As for `World`.
        history: How much of a past the world has; see `Simulation`.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int = 1,
        tempo: float = 1.0,
        lateness_s: float = 15.0,
        history: timedelta = timedelta(0),
    ) -> None:
        super().__init__(clock, seed=seed, lateness_s=lateness_s)
        self._simulation = Simulation(self, tempo, history)

    def run_to_now(self) -> None:
        """Let everything happen that is due by the clock's present reading."""
        self._simulation.run(self.clock.now())

    @locked
    def truth(self) -> list[Truth]:
        """Catch up with the clock, then return every transition as `World.truth` does."""
        self.run_to_now()
        return super().truth()
