"""Runners, results and dividends, read on invented ones of the provider's shape."""

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from polling.providers.tab_detail import dividends, results, runners
from races.snapshots import DividendSnapshot, ResultSnapshot, RunnerSnapshot
from races.status import ResultState
from tests.providers.payloads import fixture

SCRATCHED_AT = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)


def test_runners_come_by_number_with_odds_barriers_and_people() -> None:
    told = runners(fixture("event_open")["data"]["runners"])
    assert [runner.number for runner in told] == [1, 2, 3, 4]
    assert told[2] == RunnerSnapshot(
        number=3,
        name="Pocket Kea",
        barrier=5,
        jockey="Rider 3",
        trainer="Trainer 3",
        fixed_win=Decimal("2.30"),
        fixed_place=Decimal("1.45"),
        tote_win=Decimal("2.60"),
        tote_place=None,
    )


def test_odds_of_nothing_are_none_and_a_scratched_runner_keeps_its_own() -> None:
    first, _, _, last = runners(fixture("event_open")["data"]["runners"])
    assert (first.scratched, first.fixed_win) == (True, Decimal("13.00"))
    assert (last.fixed_win, last.fixed_place, last.tote_win) == (None, None, None)


@pytest.mark.parametrize(
    ("told", "scratched", "at"),
    [
        pytest.param({}, False, None, id="nothing said"),
        pytest.param({"is_scratched": False, "scratch_time": 0, "scr_time": None}, False, None, id="running"),
        pytest.param({"is_scratched": True}, True, None, id="scratched, no time"),
        pytest.param({"is_scratched": True, "scratch_time": 1795378500}, True, SCRATCHED_AT, id="epoch"),
        pytest.param({"is_scratched": True, "scr_time": "2026-11-22T20:15:00Z"}, True, SCRATCHED_AT, id="ISO"),
        pytest.param({"is_late_scratched": True}, True, None, id="late"),
        pytest.param({"is_scratched": False, "scratch_time": 1795378500}, True, SCRATCHED_AT, id="a time alone"),
        pytest.param({"is_scratched": True, "scratch_time": "?"}, True, None, id="an unreadable time"),
    ],
)
def test_a_scratching_is_told_by_any_of_its_signs(told: dict[str, Any], scratched: bool, at: datetime | None) -> None:
    (runner,) = runners([{"runner_number": 1, **told}])
    assert (runner.scratched, runner.scratched_at) == (scratched, at)


def test_a_greyhound_has_no_jockey_and_its_trainer_may_stand_under_another_name() -> None:
    (runner,) = runners([{"runner_number": 8, "name": "Box Eight", "trainer_name": "", "trainer": "A. Handler"}])
    assert (runner.jockey, runner.trainer, runner.barrier) == ("", "A. Handler", None)


def test_rows_without_a_number_are_left_out_and_of_two_the_later_counts() -> None:
    rows = [{"runner_number": 2, "name": "Old"}, {"name": "None"}, "junk", {"runner_number": 2, "name": "New"}]
    assert [(runner.number, runner.name) for runner in runners(rows)] == [(2, "New")]


def test_results_keep_dead_heats_and_those_that_did_not_finish() -> None:
    told = results(fixture("event_final")["data"]["results"])
    assert told == (
        ResultSnapshot(2, position=1, name="Pāua Shell", margin=Decimal(0)),
        ResultSnapshot(7, position=1, name="Cloudy Bay Boy", margin=Decimal(0)),
        ResultSnapshot(4, position=3, name="Gumboot Guru", margin=Decimal("2.4")),
        ResultSnapshot(5, position=None, code="PU", name="Lazy Possum"),
    )


@pytest.mark.parametrize(
    ("written", "position", "code"),
    [
        (1, 1, ""),
        ("3", 3, ""),
        ("pu", None, "PU"),
        ("F", None, "F"),
        ("DNF", None, "DNF"),
        (0, None, ""),
        (None, None, ""),
    ],
)
def test_a_finish_is_a_position_or_a_code(written: Any, position: int | None, code: str) -> None:
    (told,) = results([{"runner_number": 1, "position": written}])
    assert (told.position, told.code) == (position, code)


def test_a_final_dividend_replaces_the_interim_that_stays_beside_it() -> None:
    assert dividends(fixture("event_final")["data"]["dividends"]) == (
        DividendSnapshot("NZ", "Pool Quinella", (2, 7), Decimal("13.70"), ResultState.INTERIM),
        DividendSnapshot("NZ", "Pool Trifecta", (2, 7, 4), Decimal("1350.40"), ResultState.FINAL),
        DividendSnapshot("NZ", "Pool Win", (2,), Decimal("3.40"), ResultState.FINAL),
        DividendSnapshot("NZ", "Pool Win", (7,), Decimal("2.90"), ResultState.FINAL),
    )


def dividend(amount: float, status: str | None) -> dict[str, Any]:
    return {
        "tote": "NZ",
        "product_name": "Win",
        "dividend": amount,
        "status": status,
        "positions": [{"runner_number": 1}],
    }


@pytest.mark.parametrize(
    ("rows", "amount", "state"),
    [
        pytest.param([dividend(2, "Interim"), dividend(3, "Final")], "3.00", ResultState.FINAL, id="final after"),
        pytest.param([dividend(3, "FINAL"), dividend(2, "Interim")], "3.00", ResultState.FINAL, id="final before"),
        pytest.param([dividend(2, "Final"), dividend(3, "Final")], "3.00", ResultState.FINAL, id="two finals"),
        pytest.param([dividend(2, "Interim"), dividend(3, "Interim")], "3.00", ResultState.INTERIM, id="two interims"),
        pytest.param([dividend(2, None)], "2.00", ResultState.INTERIM, id="what is not declared final is interim"),
    ],
)
def test_of_dividends_for_one_selection_the_final_and_then_the_later_counts(
    rows: list[Any], amount: str, state: ResultState
) -> None:
    assert [(told.amount, told.state) for told in dividends(rows)] == [(Decimal(amount), state)]


@pytest.mark.parametrize(
    "row",
    [dividend(0, "Final"), {**dividend(2, "Final"), "positions": []}, {**dividend(2, "Final"), "positions": 1}, "x"],
)
def test_a_dividend_without_an_amount_or_runners_is_left_out(row: Any) -> None:
    assert dividends([row]) == ()


def test_a_shuffled_answer_reads_the_same() -> None:
    data, shuffled = fixture("event_final")["data"], fixture("event_final")["data"]
    for name in ("runners", "results", "dividends"):
        random.Random(7).shuffle(shuffled[name])  # noqa: S311 - any other order will do
        assert shuffled[name] != data[name]
    assert runners(shuffled["runners"]) == runners(data["runners"])
    assert results(shuffled["results"]) == results(data["results"])
    assert set(dividends(shuffled["dividends"])) == set(dividends(data["dividends"]))
    assert dividends(shuffled["dividends"]) == dividends(data["dividends"])
