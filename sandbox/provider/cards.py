"""The cards that a server can be started with, by name."""

from collections.abc import Callable, Mapping

from sandbox.provider.card import Card, RollingCard
from sandbox.provider.day import BUSY, HUGE, DayCard

CARDS: Mapping[str, Callable[[int], Card]] = {
    "rolling": RollingCard,
    "busy": lambda seed: DayCard(seed, BUSY),
    "huge": lambda seed: DayCard(seed, HUGE),
}
