"""The runners of a race, when they are scratched, and the order in which they finish."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from math import exp, log

from sandbox.provider.names import FAMILY_NAMES, FIRST_WORDS, GIVEN_NAMES, LAST_WORDS
from sandbox.provider.seeded_random import between, chance, pick, shuffled, uid

Places = tuple[tuple[int, ...], ...]  # saddlecloth numbers by place; a dead heat shares one

LATE_SCRATCHING = timedelta(minutes=15)
EARLY_SHARES = (0.55, 0.85)  # below the first: no early scratching; below the second: one; else two


@dataclass(frozen=True)
class Runner:
    """A runner; `strength` is its weight in the market and in the finish."""

    number: int
    entrant_id: str
    name: str
    barrier: int
    jockey: str
    trainer: str
    kilograms: float
    strength: float
    scratched_at: datetime | None
    unscratched_at: datetime | None

    def is_scratched(self, at: datetime) -> bool:
        if self.scratched_at is None or at < self.scratched_at:
            return False
        return self.unscratched_at is None or at < self.unscratched_at


def draw_runners(seed: int, position: int, code: str, start: datetime) -> tuple[Runner, ...]:
    """The field of a race: 6 to 8 greyhounds or 6 to 12 horses, by saddlecloth number."""
    key = (seed, position)
    numbers = range(1, 7 + int(chance(*key, "field") * (3 if code == "G" else 7)))
    # A greyhound starts from the box of its number.
    barriers = list(numbers) if code == "G" else shuffled(numbers, *key, "barrier")
    absences = _draw_absences(key, numbers, start)
    return tuple(_draw_runner(key, code, number, barriers[number - 1], absences) for number in numbers)


@lru_cache(maxsize=8192)
def finish(seed: int, position: int, field: tuple[tuple[int, float], ...]) -> Places:
    """The places of those who ran, given by number and strength.

    In some races the last does not finish and is left out, as the API does.
    """
    key = (seed, position, "finish")
    times = {number: -log(1 - chance(*key, number)) / strength for number, strength in field}
    order = sorted(times, key=times.__getitem__)
    if len(order) > 4 and chance(*key, "non-finisher") < 0.08:
        order.pop()
    places = [(number,) for number in order]
    if len(places) > 4 and chance(*key, "dead heat") < 0.06:
        tie = int(3 * chance(*key, "which place"))
        return (*places[:tie], tuple(sorted(places[tie] + places[tie + 1])), *places[tie + 2 :])
    return tuple(places)


Absence = tuple[datetime, datetime | None]


def _draw_absences(key: tuple[int, int], numbers: range, start: datetime) -> dict[int, Absence]:
    """Scratched and unscratched instants by number; at most three of a field, so that a race remains."""
    order = shuffled(numbers, *key, "scratching")
    early = sum(chance(*key, "early") >= share for share in EARLY_SHARES)
    absences = {number: _draw_early_scratching(key, number, start) for number in order[:early]}
    if chance(*key, "late") < 0.2:
        absences[order[early]] = (start - _draw_minutes(0.5, 12, *key, "late by"), None)
    return absences


def _draw_early_scratching(key: tuple[int, int], number: int, start: datetime) -> Absence:
    scratched_at = start - _draw_minutes(20, 300, *key, "scratched", number)
    if chance(*key, "unscratched", number) >= 0.25:
        return scratched_at, None
    return scratched_at, scratched_at + _draw_minutes(5, 15, *key, "back after", number)


def _draw_minutes(low: float, high: float, *key: object) -> timedelta:
    return timedelta(seconds=round(60 * between(low, high, *key)))


def _draw_runner(key: tuple[int, int], code: str, number: int, barrier: int, absences: dict[int, Absence]) -> Runner:
    scratched_at, unscratched_at = absences.get(number, (None, None))
    pairs = len(FIRST_WORDS) * len(LAST_WORDS)
    step = 1 + int((len(LAST_WORDS) - 1) * chance(*key, "name step"))
    name = int(pairs * chance(*key, "first name")) + step * number
    jockey = int(len(GIVEN_NAMES) * chance(*key, "jockeys")) + number
    jockey_name = f"{GIVEN_NAMES[jockey % len(GIVEN_NAMES)]} {pick(FAMILY_NAMES, *key, 'jockey', number)}"
    return Runner(
        number=number,
        entrant_id=uid(*key, "entrant", number),
        name=f"{FIRST_WORDS[name % len(FIRST_WORDS)]} {LAST_WORDS[name % len(LAST_WORDS)]}",
        barrier=barrier,
        jockey="" if code == "G" else jockey_name,
        trainer=f"{pick(GIVEN_NAMES, *key, 't', number)} {pick(FAMILY_NAMES, *key, 'trainer', number)}",
        kilograms=round(2 * between(54, 61, *key, "kilograms", number)) / 2,
        strength=exp(-3 * chance(*key, "strength", number)),
        scratched_at=scratched_at,
        unscratched_at=unscratched_at,
    )
