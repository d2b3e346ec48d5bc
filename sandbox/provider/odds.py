"""Fixed and pool odds: piecewise constant in time, moving every 15 seconds once the start is near."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from math import exp, pi, sin

from sandbox.provider.race import Race
from sandbox.provider.race_grid import EPOCH
from sandbox.provider.race_state import RaceState
from sandbox.provider.runners import Runner
from sandbox.provider.seeded_random import chance

NEAR = timedelta(minutes=5)
STEP_NEAR, STEP_FAR = timedelta(seconds=15), timedelta(minutes=3)
FIXED_PAYOUT, POOL_PAYOUT = 0.87, 0.84
# (below this price, step between prices)
LADDER = ((2.0, 0.05), (5.0, 0.1), (10.0, 0.5), (20.0, 1.0), (50.0, 3.0))


@dataclass(frozen=True)
class Odds:
    """Decimal odds, stake included."""

    fixed_win: float
    fixed_place: float
    pool_win: float
    pool_place: float


def market(state: RaceState) -> dict[int, Odds]:
    """Odds by runner number; they stay from the jump on, and a scratched runner keeps its last ones."""
    at, start = betting_until(state), state.advertised_start
    return {
        runner.number: _odds_of(runner, fair, _bucket_start(start, min(at, state.scratched.get(runner.number, at))))
        for runner, fair in _fair_odds(state.race, frozenset(state.scratched))
    }


def betting_until(state: RaceState) -> datetime:
    """`now` while the race is open, else when betting closed."""
    race = state.race
    return state.now if state.status == "Open" else min(state.now, race.abandoned_at or race.jump_at)


@lru_cache(maxsize=8192)
def fixed_wins(race: Race, start: datetime, absent: frozenset[int], at: datetime) -> list[float]:
    """The fixed win odds of each runner at `at`; kept, because every poll asks for those of the same past."""
    seconds = _bucket_start(start, at)
    return [_fixed_win(runner, fair, seconds) for runner, fair in _fair_odds(race, absent)]


def _fair_odds(race: Race, absent: frozenset[int]) -> Iterator[tuple[Runner, float]]:
    """What each runner is worth in the field of the present runners, before the house takes its share."""
    present = sum(runner.strength for runner in race.runners if runner.number not in absent)
    for runner in race.runners:
        yield runner, present / runner.strength + (runner.number in absent)


def _fixed_win(runner: Runner, fair: float, seconds: float) -> float:
    price = FIXED_PAYOUT * fair * _price_drift(runner.entrant_id, "fixed", seconds)
    step = next((step for limit, step in LADDER if price < limit), 10.0)
    return max(1.05, round(round(price / step) * step, 2))


def _odds_of(runner: Runner, fair: float, seconds: float) -> Odds:
    fixed = _fixed_win(runner, fair, seconds)
    pool = POOL_PAYOUT * fair * _price_drift(runner.entrant_id, "pool", seconds)
    return Odds(
        fixed_win=fixed,
        fixed_place=_place_price(fixed, 0.05),
        pool_win=max(1.1, round(pool, 1)),
        pool_place=_place_price(pool, 0.1),
    )


def _bucket_start(start: datetime, at: datetime) -> float:
    """The start of the step of time that `at` falls into, in seconds since 1970."""
    step = STEP_NEAR if at >= start - NEAR else STEP_FAR
    return ((at - EPOCH) // step * step).total_seconds()


@lru_cache(maxsize=32768)
def _price_drift(entrant_id: str, market: str, seconds: float) -> float:
    """A slow swing with a little noise: the factor by which a price differs from the fair one."""
    swing = 0.15 * sin(2 * pi * (seconds / 1500 + chance(entrant_id, market, "phase")))
    return exp(swing + 0.08 * (chance(entrant_id, market, seconds) - 0.5))


def _place_price(win: float, step: float) -> float:
    return max(1.04, round(round((1 + (win - 1) / 4) / step) * step, 2))
