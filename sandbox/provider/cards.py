"""What a card is, and the cards that a server can be started with, by name."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sandbox.provider.race import Race
from sandbox.provider.racing_day import BUSY, HUGE, DayCard
from sandbox.provider.rolling_card import RollingCard


class Card(Protocol):
    """The races that a provider has at an instant: those it lists, and those found by their id or their meeting's."""

    def listed(self, *, now: datetime) -> Sequence[Race]: ...

    def find_race(self, wanted: str, *, now: datetime) -> Race | None: ...

    def find_meeting(self, wanted: str, *, now: datetime) -> Sequence[Race]: ...


CARDS: Mapping[str, Callable[[int], Card]] = {
    "rolling": RollingCard,
    "busy": lambda seed: DayCard(seed, BUSY),
    "huge": lambda seed: DayCard(seed, HUGE),
}
