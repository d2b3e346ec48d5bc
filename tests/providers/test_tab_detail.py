"""Runners, results and dividends, read on invented ones of the provider's shape."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from polling.providers import tab_detail
from races.snapshots import DividendSnapshot, ResultSnapshot, RunnerSnapshot
from races.status import ResultState
from tests.providers.payloads import fixture

SCRATCHED_AT = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)


def runners(rows: list[Any]) -> tuple[RunnerSnapshot, ...]:
    return tab_detail.runners(rows, Counter())


def results(rows: list[Any]) -> tuple[ResultSnapshot, ...]:
    return tab_detail.results(rows, Counter())


def dividends(rows: list[Any]) -> tuple[DividendSnapshot, ...]:
    return tab_detail.dividends(rows, Counter())


def left_out(read: Callable[..., Any], rows: list[Any]) -> dict[str, int]:
    """What reading these rows left out, without zeros."""
    left: Counter[str] = Counter()
    read(rows, left)
    return {what: count for what, count in left.items() if count}


def test_runners_come_by_number_with_odds_barriers_and_people() -> None:
    field = runners(fixture("event_open")["data"]["runners"])
    assert [runner.number for runner in field] == [1, 2, 3, 4]
    assert field[2] == RunnerSnapshot(
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
    ("signs", "scratched", "at"),
    [
        pytest.param({}, False, None, id="no sign"),
        pytest.param({"is_scratched": False, "scratch_time": 0, "scr_time": None}, False, None, id="running"),
        pytest.param({"is_scratched": True}, True, None, id="scratched, no time"),
        pytest.param({"is_scratched": True, "scratch_time": 1795378500}, True, SCRATCHED_AT, id="seconds since 1970"),
        pytest.param({"is_scratched": True, "scr_time": "2026-11-22T20:15:00Z"}, True, SCRATCHED_AT, id="ISO"),
        pytest.param({"is_late_scratched": True}, True, None, id="late"),
        pytest.param({"scratch_time": 1795378500}, True, SCRATCHED_AT, id="a time alone"),
        pytest.param({"is_late_scratched": False, "scratch_time": 1795378500}, True, SCRATCHED_AT, id="not late"),
        pytest.param({"is_scratched": False, "scratch_time": 1795378500}, False, None, id="an explicit no"),
        pytest.param({"is_scratched": "false", "scr_time": "2026-11-22T20:15:00Z"}, False, None, id="a no as text"),
        pytest.param({"is_scratched": "True"}, True, None, id="a yes as text"),
        pytest.param({"is_scratched": False, "is_late_scratched": True}, True, None, id="late, though not early"),
        pytest.param({"is_scratched": True, "scratch_time": "?"}, True, None, id="an unreadable time"),
    ],
)
def test_a_scratching_is_known_by_any_of_its_signs(signs: dict[str, Any], scratched: bool, at: datetime | None) -> None:
    (runner,) = runners([{"runner_number": 1, **signs}])
    assert (runner.scratched, runner.scratched_at) == (scratched, at)


def test_a_greyhound_has_no_jockey_and_its_trainer_may_stand_under_another_name() -> None:
    (runner,) = runners([{"runner_number": 8, "name": "Box Eight", "trainer_name": "", "trainer": "A. Handler"}])
    assert (runner.jockey, runner.trainer, runner.barrier) == ("", "A. Handler", None)


def test_rows_without_a_number_are_left_out_and_counted() -> None:
    rows = [{"runner_number": 2, "name": "Huia"}, {"name": "None"}, "junk", {"runner_number": "x2"}]
    assert [(runner.number, runner.name) for runner in runners(rows)] == [(2, "Huia")]
    assert left_out(tab_detail.runners, rows) == {"runners": 3}


def test_a_coupled_entry_is_a_runner_of_its_own_in_the_field_the_result_and_the_dividends() -> None:
    rows = [{"runner_number": number, "name": f"Horse {number}"} for number in (2, "1a", 1, "10", " 1B ")]
    assert [(runner.number, runner.letter) for runner in runners(rows)] == [
        (1, ""),
        (1, "A"),
        (1, "B"),
        (2, ""),
        (10, ""),
    ]
    placed = results([{"position": 2, "runner_number": 2}, {"position": 1, "runner_number": "1A"}])
    assert [(result.position, result.runner_number) for result in placed] == [(1, "1A"), (2, 2)]
    positions = [{"runner_number": 2, "position": 2}, {"runner_number": "1A", "position": 1}]
    (paid,) = dividends([{**dividend(7, "Final"), "positions": positions}])
    assert paid.selection == ("1A", 2)


@pytest.mark.parametrize("turned", [False, True])
def test_one_runner_reported_twice_is_one_with_what_either_says(turned: bool) -> None:
    rich = {"runner_number": 4, "name": "Tui", "barrier": 3, "odds": {"fixed_win": 2.5}, "is_scratched": False}
    poor: dict[str, Any] = {"runner_number": "4", "name": "tui ", "jockey": "J. Rider", "odds": {}, "barrier": None}
    rows: list[Any] = [poor, rich] if turned else [rich, poor]
    (runner,) = runners(rows)
    assert (runner.name, runner.barrier, runner.jockey, runner.fixed_win) == ("Tui", 3, "J. Rider", Decimal("2.50"))
    assert left_out(tab_detail.runners, rows) == {"runners reported twice": 1}


@pytest.mark.parametrize("turned", [False, True])
def test_a_scratching_in_one_of_two_rows_counts(turned: bool) -> None:
    rows: list[Any] = [
        {"runner_number": 4, "name": "Tui", "barrier": 3, "is_scratched": False},
        {"runner_number": 4, "is_scratched": True},
    ]
    (runner,) = runners(rows[::-1] if turned else rows)
    assert runner.scratched


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_runners_with_one_number_the_one_left_out_is_counted(turned: bool) -> None:
    rows: list[Any] = [{"runner_number": 1, "name": "Tui", "barrier": 2}, {"runner_number": 1, "name": "Kaka"}]
    assert [runner.name for runner in runners(rows[::-1] if turned else rows)] == ["Tui"]
    assert left_out(tab_detail.runners, rows) == {"runners of one number": 1}


@pytest.mark.parametrize("turned", [False, True])
def test_an_emergency_that_takes_the_number_of_a_scratched_runner_is_the_one_that_runs(turned: bool) -> None:
    scratched = {"runner_number": 3, "name": "Tui", "barrier": 2, "jockey": "J", "is_scratched": True}
    rows: list[Any] = [scratched, {"runner_number": 3, "name": "Kaka", "is_scratched": False}]
    [runner] = runners(rows[::-1] if turned else rows)
    assert (runner.name, runner.scratched, runner.jockey) == ("Kaka", False, "")
    [both] = runners([scratched, {**scratched, "is_scratched": False}])
    assert both.scratched, "of one name a scratching counts"


def test_a_place_without_a_readable_runner_is_counted() -> None:
    rows = [{"position": 1, "runner_number": "?"}, {"position": 2, "runner_number": 2}]
    assert left_out(tab_detail.results, rows) == {"results": 1}


@pytest.mark.parametrize("turned", [False, True])
def test_a_result_reported_twice_keeps_its_place(turned: bool) -> None:
    rows: list[Any] = [{"position": 1, "runner_number": 5, "name": "Tui"}, {"position": None, "runner_number": 5}]
    assert [result.position for result in results(rows[::-1] if turned else rows)] == [1]
    assert left_out(tab_detail.results, rows) == {"results reported twice": 1}


def test_a_dead_heat_keeps_both_payouts_each_in_the_order_given() -> None:
    def exacta(amount: float, *runners: int) -> dict[str, Any]:
        positions = [{"runner_number": runner, "position": 1} for runner in runners]
        return {"tote": "NZ", "product_name": "Exacta", "status": "Final", "dividend": amount, "positions": positions}

    payouts = dividends([exacta(12, 5, 1), exacta(10, 1, 5)])
    assert [(paid.selection, paid.amount) for paid in payouts] == [
        ((1, 5), Decimal("10.00")),
        ((5, 1), Decimal("12.00")),
    ]
    same = dividends([exacta(12, 1, 5), exacta(10, 1, 5), exacta(12, 1, 5)])
    assert [paid.amount for paid in same] == [Decimal("10.00"), Decimal("12.00")]


@pytest.mark.parametrize(
    ("row", "counted"),
    [
        pytest.param({"dividend": 0, "positions": [{"runner_number": 1}]}, False, id="nobody won"),
        pytest.param({"dividend": None, "positions": []}, False, id="not declared"),
        pytest.param({"dividend": 2, "positions": []}, True, id="an amount for no runner"),
        pytest.param({"dividend": "a lot", "positions": [{"runner_number": 1}]}, True, id="an unreadable amount"),
        pytest.param({"dividend": 2, "positions": [{"runner_number": 1}, {"runner_number": "?"}]}, True, id="in part"),
        pytest.param("junk", True, id="no row"),
    ],
)
def test_a_dividend_that_cannot_be_read_is_counted_and_one_of_nothing_is_not(row: Any, counted: bool) -> None:
    assert dividends([row]) == ()
    assert left_out(tab_detail.dividends, [row]) == ({"dividends": 1} if counted else {})


def test_results_keep_dead_heats_and_those_that_did_not_finish() -> None:
    finishes = results(fixture("event_final")["data"]["results"])
    assert finishes == (
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
    (finish,) = results([{"runner_number": 1, "position": written}])
    assert (finish.position, finish.code) == (position, code)


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
        pytest.param([dividend(3, "Final"), dividend(3, "Final")], "3.00", ResultState.FINAL, id="one final twice"),
        pytest.param([dividend(3, "Interim"), dividend(3, "Final")], "3.00", ResultState.FINAL, id="one amount"),
        pytest.param([dividend(2, None)], "2.00", ResultState.INTERIM, id="what is not declared final is interim"),
    ],
)
def test_of_dividends_for_one_selection_the_final_counts(rows: list[Any], amount: str, state: ResultState) -> None:
    assert [(paid.amount, paid.state) for paid in dividends(rows)] == [(Decimal(amount), state)]


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
