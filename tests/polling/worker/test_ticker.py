"""The tick's place on the wall clock, also when that clock is set."""

import pytest

from polling.worker.ticker import GRACE, Ticker

NOON = 1_795_608_000.0  # a multiple of 60


def at(step: float, wall: float = NOON + 1, elapsed: float = 100.0) -> Ticker:
    """A ticker that has looked once."""
    ticker = Ticker(step)
    assert ticker.reset_if_set_back(wall, elapsed)
    return ticker


@pytest.mark.parametrize(
    ("step", "wall", "tick"),
    [(15, 1, 15), (15, 14.99, 15), (15, 15, 30), (1, 0.5, 1), (60, 59, 60), (60, 60, 120)],
)
def test_the_first_tick_is_the_next_multiple_of_the_step(step: float, wall: float, tick: float) -> None:
    assert at(step, NOON + wall).tick_at == NOON + tick


def test_a_tick_is_waited_for_with_a_little_grace() -> None:
    assert at(15, NOON + 10).wait(NOON + 14.5) == pytest.approx(0.5 + GRACE)


@pytest.mark.parametrize("late", [0.5, 40.0])
def test_a_tick_that_was_overslept_is_due_at_once_and_the_next_is_on_the_grid(late: float) -> None:
    ticker = at(15)
    assert ticker.wait(NOON + 15 + late) < 0
    ticker.advance(NOON + 15 + late)
    assert ticker.tick_at == NOON + (30 if late < 15 else 60)


@pytest.mark.parametrize(
    ("wall", "elapsed", "is_reset"),
    [
        pytest.param(1.5, 100.5, False, id="both clocks went on"),
        pytest.param(13.0, 112.0, False, id="a cycle took long"),
        pytest.param(1.0, 100.5, False, id="the clock is slowed down"),
        pytest.param(-1.5, 100.5, True, id="set back within the step"),
        pytest.param(-3600.0, 100.5, True, id="set back by an hour"),
        pytest.param(3600.0, 100.5, False, id="set forward: the tick is due"),
    ],
)
def test_only_a_clock_set_back_resets_the_tick(wall: float, elapsed: float, is_reset: bool) -> None:
    ticker = at(15)
    assert ticker.reset_if_set_back(NOON + wall, elapsed) is is_reset
    assert ticker.tick_at is not None
    assert ticker.tick_at - (NOON + wall) <= 15


def test_a_step_back_is_noticed_once() -> None:
    ticker = at(15)
    assert ticker.reset_if_set_back(NOON - 99, 100.5)
    assert not ticker.reset_if_set_back(NOON - 98.5, 101.0)
