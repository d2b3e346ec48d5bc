"""Fixed and pool odds: piecewise constant in time, moving every 15 seconds once the start is near."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, pi, sin

from sandbox.provider.card import RaceState
from sandbox.provider.chance import chance
from sandbox.provider.field import Runner
from sandbox.provider.grid import EPOCH

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
    """Odds by runner number; they stand still from the jump, and a scratched runner keeps its last ones."""
    at = betting_until(state)
    return {
        runner.number: odds(state, runner, min(at, state.scratched.get(runner.number, at)))
        for runner in state.race.runners
    }


def betting_until(state: RaceState) -> datetime:
    """`now` while the race is open, else when betting closed."""
    race = state.race
    return state.now if state.status == "Open" else min(state.now, race.abandoned_at or race.jump_at)


def odds(state: RaceState, runner: Runner, at: datetime) -> Odds:
    """What the runner was worth at `at` in the field of the present runners."""
    rivals = (r for r in state.race.runners if r.number not in state.scratched and r is not runner)
    fair = 1 + sum(rival.strength for rival in rivals) / runner.strength
    fixed = FIXED_PAYOUT * fair * _drift(state, runner, at, "fixed")
    pool = POOL_PAYOUT * fair * _drift(state, runner, at, "pool")
    return Odds(
        fixed_win=_on_ladder(fixed),
        fixed_place=_place(_on_ladder(fixed), 0.05),
        pool_win=max(1.1, round(pool, 1)),
        pool_place=_place(pool, 0.1),
    )


def _drift(state: RaceState, runner: Runner, at: datetime, market: str) -> float:
    """A slow swing with a little noise, sampled at the start of the bucket of time that `at` falls into."""
    near = at >= state.advertised_start - NEAR
    step = STEP_NEAR if near else STEP_FAR
    seconds = ((at - EPOCH) // step * step).total_seconds()
    key = (runner.entrant_id, market)
    swing = 0.15 * sin(2 * pi * (seconds / 1500 + chance(*key, "phase")))
    return exp(swing + 0.08 * (chance(*key, seconds) - 0.5))


def _on_ladder(price: float) -> float:
    step = next((step for limit, step in LADDER if price < limit), 10.0)
    return max(1.05, round(round(price / step) * step, 2))


def _place(win: float, step: float) -> float:
    return max(1.04, round(round((1 + (win - 1) / 4) / step) * step, 2))
