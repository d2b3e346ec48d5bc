"""When far windows are stretched, and when they are let go: slowly in both directions."""

from datetime import datetime, timedelta

import pytest

from polling.cadence import DEFAULT_WINDOWS, Cadence, read_windows
from polling.stretch import Shortage, next_stretch
from tests.factories import START

CADENCE = Cadence(DEFAULT_WINDOWS, timedelta(seconds=15))


def ago(seconds: float | None) -> datetime | None:
    return None if seconds is None else START - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("stretch", "changed", "short", "wanted"),
    [
        pytest.param(1, None, None, 1, id="never short"),
        pytest.param(1, None, 5, 2, id="short for the first time"),
        pytest.param(2, 30, 5, 2, id="short again, but changed only now"),
        pytest.param(2, 60, 5, 4, id="short still after a minute"),
        pytest.param(4, 600, 5, 4, id="no further than four steps"),
        pytest.param(4, 600, 299, 4, id="not short for almost five minutes"),
        pytest.param(4, 600, 300, 2, id="not short for five minutes"),
        pytest.param(2, 299, 600, 2, id="one step back at a time"),
        pytest.param(2, 300, 600, 1, id="back to the plan"),
        pytest.param(1, 300, 600, 1, id="and no further"),
    ],
)
def test_the_factor_follows_slowly(stretch: int, changed: float | None, short: float | None, wanted: int) -> None:
    shortage = Shortage(ago(None if short is None else short + 60), ago(short))
    assert next_stretch(stretch, changed_at=ago(changed), shortage=shortage, now=START) == wanted


@pytest.mark.parametrize(("lasts", "wanted"), [(0, 1), (29, 1), (30, 2)])
def test_a_shortage_that_passes_stretches_nothing(lasts: float, wanted: int) -> None:
    assert next_stretch(1, changed_at=None, shortage=Shortage(ago(lasts), ago(0)), now=START) == wanted


@pytest.mark.parametrize("factor", [2, 4])
def test_a_stretched_grid_leaves_out_slots_and_adds_none_and_keeps_the_last_five_minutes(factor: int) -> None:
    whole, stretched = CADENCE.plan(START, until=START), CADENCE.suited(stretch=factor).plan(START, until=START)
    last = START - timedelta(minutes=5)
    assert set(stretched) < set(whole)
    assert [slot for slot in stretched if slot >= last] == [slot for slot in whole if slot >= last]
    assert len(stretched) == {2: 4 + 3 + 3 + 20, 4: 2 + 2 + 2 + 20}[factor]


def test_a_window_that_opens_before_the_last_five_minutes_is_not_stretched_within_them() -> None:
    cadence = Cadence(read_windows("60:300,10:15,0:300"), timedelta(seconds=15))
    last = START - timedelta(minutes=5)
    stretched = cadence.suited(stretch=4).plan(START, until=START)
    assert [slot for slot in stretched if slot >= last] == cadence.plan(START, until=START)[-20:]
    assert len([slot for slot in stretched if last - timedelta(minutes=5) <= slot < last]) == 5
