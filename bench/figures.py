"""A measured figure, the bar it must clear, and their JSON line."""

import json
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

LEAST_FOR_A_PERCENTILE = 200


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values have no percentile")
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def median(values: Sequence[float]) -> float:
    """The percentile at a half: one that was measured, not a mean of two."""
    return percentile(values, 0.5)


@dataclass(frozen=True, slots=True)
class Bar:
    """The limit that a figure must keep, such as `<= 60`."""

    sign: str
    limit: float

    def holds(self, value: float) -> bool:
        return SIGNS[self.sign](value, self.limit)

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}"


SIGNS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge, "=": operator.eq}


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its unit. Without a bar, or with `why`, it is reported and not judged.

    `n` is the number of samples; `share` names the percentile, which too few samples cannot show.
    """

    name: str
    value: float | None
    unit: str
    bar: Bar | None = None
    n: int = 1
    share: float | None = None
    why: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def doubt(self) -> str:
        """Why the figure cannot be judged; empty where it can."""
        if self.n < 1:
            return self.why or "nothing was measured"
        if self.share is not None and self.n < LEAST_FOR_A_PERCENTILE:
            return self.why or f"a percentile needs {LEAST_FOR_A_PERCENTILE} samples, there are {self.n}"
        return self.why

    @property
    def ok(self) -> bool | None:
        if self.doubt or self.bar is None or self.value is None:
            return None
        return self.bar.holds(self.value)

    def line(self, bench: str, **around: Any) -> str:
        """One line of JSON; `around` is what holds for all figures of the run."""
        value = None if self.value is None else round(self.value, 3)
        fields = {
            "bench": bench,
            "figure": self.name,
            "value": value,
            "unit": self.unit,
            "bar": str(self.bar) if self.bar else None,
            "ok": self.ok,
            **({"why": self.doubt} if self.doubt else {}),
            "n": self.n,
            "details": self.details,
        }
        return json.dumps(fields | around, default=str)


def percentiles(
    name: str, values: Sequence[float], unit: str, bars: dict[float, Bar], *, why: str = "", **details: Any
) -> list[Figure]:
    """A figure for each share that has a bar, the whole spread in their details; `why` they cannot be judged."""
    if not values:
        return [Figure(name, None, unit, why=why, n=0, details=details)]
    spread = {"median": median(values), "p90": percentile(values, 0.9), "p99": percentile(values, 0.99)}
    spread |= {"max": max(values)}
    shown = {"spread": {key: round(value, 1) for key, value in spread.items()}, **details}
    return [
        Figure(f"{name}_p{share * 100:g}", percentile(values, share), unit, bar, len(values), share, why, shown)
        for share, bar in bars.items()
    ]
