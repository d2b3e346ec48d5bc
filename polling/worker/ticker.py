"""When the next tick of the wall clock is, seen from a loop that looks about twice a second."""

from dataclasses import dataclass

GRACE = 0.02  # a schedule is taken when its instant lies strictly in the past
LEAST_STEP_BACK = 1.0  # what is less is a clock that is being slowed down


@dataclass(slots=True)
class Ticker:
    """Ticks lie on whole multiples of `step` seconds of the wall clock. All instants are seconds of that clock."""

    step: float
    tick_at: float | None = None
    _lead: float = 0.0

    def reset_if_set_back(self, wall: float, elapsed: float) -> bool:
        """Sets the next tick at the first look, and when the wall clock was set back; returns whether it did.

        `elapsed` is the monotonic clock, against which that shows. A clock set forward leaves the tick in the past: it
        is due.
        """
        lead, before = wall - elapsed, self._lead
        self._lead = lead
        if self.tick_at is not None and lead > before - LEAST_STEP_BACK and self.tick_at - wall <= self.step:
            return False
        self.advance(wall)
        return True

    def wait(self, wall: float) -> float:
        """Seconds until the tick may be fired; not above 0 where it is due."""
        return self.step if self.tick_at is None else self.tick_at + GRACE - wall

    def advance(self, wall: float) -> None:
        """Moves to the first tick after `wall`."""
        self.tick_at = (wall // self.step + 1) * self.step
