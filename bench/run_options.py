"""What a bench is run with: its home, its stack, and how long it may take."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """`var` is the run's own RACEPOLL_VAR. `seconds` shortens what is measured over time, `small` what is counted."""

    var: Path
    stack: str
    seconds: float | None = None
    small: bool = False

    def lasting(self, usual: float) -> float:
        """For how many seconds to measure what usually takes `usual`."""
        return self.seconds or (min(usual, 10) if self.small else usual)

    def sized(self, usual: T, small: T) -> T:
        """Which of two sizes to build."""
        return small if self.small else usual
