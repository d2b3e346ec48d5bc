"""Ingest: what a provider reported becomes rows; what did not change writes nothing."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from races import decisions, ingest
from races.decisions import Actor
from races.models import Meeting, PriceChange, Race, Runner
from races.snapshots import (
    DividendSnapshot,
    ResultSnapshot,
    RunnerSnapshot,
    Scope,
)
from races.status import Outcome, RaceStatus, ResultState
from tests.factories import START
from tests.races.answers import NOW, ended, full, race, status

pytestmark = pytest.mark.django_db


def test_a_new_race_is_stored_with_its_meeting_and_runners() -> None:
    changes = ingest.apply([full()], now=NOW)
    assert changes.created == {race().pk} == changes.changed
    assert race().original_advertised_start == race().advertised_start == race().provider_start == START
    assert race().meeting == Meeting.objects.get(name="Kowhai Park", timezone="Pacific/Auckland")
    assert list(race().runners.values_list("number", flat=True)) == [1, 2, 3]


def test_a_meeting_that_another_writer_stores_meanwhile_is_shared() -> None:
    others = [Meeting(provider="sandbox", provider_meeting_id="m1", name="Old name")]

    def other_writer(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('INSERT INTO "races_meeting"') and others:
            others.pop().save(force_insert=True)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(other_writer):
        ingest.apply([full()], now=NOW)
    assert race().meeting == Meeting.objects.get()
    assert Meeting.objects.get().name != "Old name"


def test_the_same_answer_again_writes_nothing() -> None:
    ingest.apply([full()], now=NOW)
    version = race().version
    with CaptureQueriesContext(
        connection,
    ) as queries:
        changes = ingest.apply([replace(full(), observed_at=NOW + timedelta(seconds=15))], now=NOW)
    assert not changes.changed
    assert race().version == version
    assert not [query for query in queries if query["sql"].startswith(("INSERT", "UPDATE"))]


def test_odds_that_moved_leave_a_row_and_raise_the_version() -> None:
    ingest.apply([full()], now=NOW)
    before, moves = race().version, PriceChange.objects.count()
    runners = tuple(replace(runner, fixed_win=Decimal("3.10")) for runner in full().runners[:1])  # type: ignore[index]
    changes = ingest.apply([full(runners=runners + full().runners[1:])], now=NOW)  # type: ignore[index]
    assert changes.changed == {race().pk}
    assert race().version == before + 1
    assert PriceChange.objects.count() == moves + 1
    assert PriceChange.objects.latest("pk").fixed_win == Decimal("3.10")


def test_a_status_answer_never_wipes_runners_or_odds() -> None:
    ingest.apply([full()], now=NOW)
    ingest.apply([status(status=RaceStatus.IN_PROGRESS, provider_status="Closed")], now=START)
    assert race().status == RaceStatus.IN_PROGRESS
    assert race().runners.filter(fixed_win=Decimal("2.50")).count() == 3
    assert not ingest.apply([full(status=RaceStatus.IN_PROGRESS, provider_status="Closed")], now=START).changed


def test_a_runner_is_scratched_and_unscratched() -> None:
    ingest.apply([full()], now=NOW)
    scratched = tuple(replace(r, scratched=r.number == 2, scratched_at=None) for r in full().runners or ())
    ingest.apply([full(runners=scratched)], now=NOW)
    assert Runner.objects.get(number=2).scratched_at == NOW
    ingest.apply([full()], now=NOW)
    assert Runner.objects.get(number=2).scratched_at is None


def test_a_runner_missing_from_a_whole_answer_is_kept_and_marked_with_its_odds_off_until_it_returns() -> None:
    ingest.apply([full()], now=NOW)
    without = full(runners=(full().runners or ())[:2], observed_at=NOW + timedelta(minutes=1))
    assert ingest.apply([without], now=NOW).changed
    gone = Runner.objects.get(number=3)
    assert (gone.absent_since, gone.fixed_win) == (NOW + timedelta(minutes=1), None)
    assert list(gone.price_changes.order_by("pk").values_list("fixed_win", flat=True)) == [Decimal("2.50"), None]
    assert not Runner.objects.exclude(number=3).exclude(absent_since=None).exists()
    ingest.apply([replace(without, protest=True, observed_at=NOW + timedelta(minutes=2))], now=NOW)
    assert Runner.objects.get(number=3).absent_since == NOW + timedelta(minutes=1)
    ingest.apply([full()], now=NOW)
    back = Runner.objects.get(number=3)
    assert (back.absent_since, back.fixed_win, back.price_changes.count()) == (None, Decimal("2.50"), 3)


@pytest.mark.parametrize(
    "facts",
    [{"runners": None}, {"left_out": (("runners", 1),)}, {"scope": Scope.STATUS, "runners": None}],
    ids=["not reported", "a row that cannot be read", "a status"],
)
def test_a_field_that_is_not_reported_whole_marks_nobody_absent(facts: dict[str, Any]) -> None:
    ingest.apply([full()], now=NOW)
    ingest.apply([full(**{"runners": (full().runners or ())[:2], **facts})], now=NOW)
    assert not Runner.objects.exclude(absent_since=None).exists()
    assert Runner.objects.filter(fixed_win=Decimal("2.50")).count() == 3


def test_a_coupled_entry_is_stored_beside_the_runner_of_its_number() -> None:
    one, two = (RunnerSnapshot(1, name, letter=letter) for name, letter in (("Huia", ""), ("Tui", "A")))
    ingest.apply([full(runners=(one, two), results=(ResultSnapshot("1A", position=1),))], now=NOW)
    assert [(runner.label, runner.name) for runner in race().runners.all()] == [(1, "Huia"), ("1A", "Tui")]
    assert race().results[0]["runner_number"] == "1A"


def test_what_was_left_out_of_an_answer_stands_on_the_race_until_the_next_whole_one() -> None:
    ingest.apply([full(left_out=(("runners", 2),))], now=NOW)
    ingest.apply([status()], now=NOW)
    assert race().left_out == {"runners": 2}
    ingest.apply([full()], now=NOW)
    assert race().left_out == {}


def card(*listed: str, unsure: tuple[str, ...] = (), minutes: int = 5) -> tuple[list[str], list[str]]:
    """The ids of the races that a card of these ids lacks for the first time, and of those that it has again."""
    hour, at = timedelta(hours=1), NOW + timedelta(minutes=minutes)
    gone, back = ingest.mark_off_card("sandbox", listed, unsure, since=NOW - hour, until=NOW + hour, now=at)
    return [race.provider_race_id for race in gone], [race.provider_race_id for race in back]


def test_a_race_that_is_not_on_the_card_is_marked_once_and_cleared_when_it_is_back() -> None:
    ingest.apply([status("r1"), status("r2")], now=NOW)
    assert card("r1") == (["r2"], [])
    assert card("r1", minutes=10) == ([], [])
    assert Race.objects.get(provider_race_id="r2").off_card_since == NOW + timedelta(minutes=5)
    assert card("r1", "r2") == ([], ["r2"])
    assert not Race.objects.exclude(off_card_since=None).exists()


def test_only_races_that_the_card_should_list_are_missed() -> None:
    ingest.apply([status("later", advertised_start=START + timedelta(hours=2))], now=NOW)
    ingest.apply([status("over", **ended(Scope.STATUS, Outcome.ABANDONED))], now=NOW)
    ingest.apply([replace(status("other"), provider="another")], now=NOW)
    ingest.apply([status("r1")], now=NOW)
    assert card(unsure=("m1",)) == ([], [])
    assert card() == (["r1"], [])


def test_dead_heats_codes_and_dividends_are_kept_as_reported() -> None:
    results = (
        ResultSnapshot(2, position=1, margin=Decimal("0")),
        ResultSnapshot(3, position=1, margin=Decimal("0")),
        ResultSnapshot(1, code="PU"),
    )
    paid = DividendSnapshot("NZ", "Pool Win", (2,), Decimal("3.70"), ResultState.INTERIM)
    ingest.apply([full(**ended(Scope.FULL), results=results, dividends=(paid,))], now=START)
    assert [(r["runner_number"], r["position"], r["code"]) for r in race().results] == [
        (2, 1, ""),
        (3, 1, ""),
        (1, None, "PU"),
    ]
    assert race().dividends == [
        {"pool": "NZ", "product": "Pool Win", "selection": [2], "amount": "3.70", "state": "interim"}
    ]
    assert race().result_version == 1


def test_a_corrected_result_raises_the_result_version() -> None:
    ingest.apply([full(results=(ResultSnapshot(1, position=1),))], now=START)
    ingest.apply([full(results=(ResultSnapshot(2, position=1),))], now=START)
    assert race().result_version == 2


def test_a_final_that_only_the_status_reports_waits_for_its_result() -> None:
    ingest.apply([status()], now=NOW)
    ingest.apply([status(**ended(Scope.STATUS))], now=START)
    assert (race().status, race().detail_wanted) == (RaceStatus.IN_PROGRESS, True)
    ingest.apply([full(**ended(Scope.FULL), results=(ResultSnapshot(1, position=1),))], now=START)
    assert (race().status, race().outcome, race().detail_wanted) == ("finalized", "resulted", False)
    assert (race().finalized_by, race().finalized_at) == ("provider", START)


def test_an_abandoned_race_is_final_at_once() -> None:
    ingest.apply([status()], now=NOW)
    ingest.apply([status(**ended(Scope.STATUS, Outcome.ABANDONED))], now=START)
    assert (race().status, race().outcome) == ("finalized", "abandoned")


def test_a_race_that_was_closed_may_open_again() -> None:
    ingest.apply([status(status=RaceStatus.IN_PROGRESS, provider_status="Closed")], now=NOW)
    ingest.apply([status()], now=NOW)
    assert race().status == "scheduled"


def test_an_unknown_status_keeps_the_old_one() -> None:
    ingest.apply([status(status=RaceStatus.IN_PROGRESS, provider_status="Closed")], now=NOW)
    ingest.apply([status(status=None, provider_status="Parading")], now=NOW)
    assert (race().status, race().provider_status) == ("in_progress", "Parading")


def test_a_race_that_staff_finalized_stays_so_whatever_the_provider_says() -> None:
    ingest.apply([full()], now=NOW)
    decisions.finalize([race().pk], by=Actor("kim"), reason="wrong track", now=NOW)
    ingest.apply([full(status=RaceStatus.IN_PROGRESS, provider_status="Closed")], now=START)
    assert (race().status, race().finalized_by) == ("finalized", "staff")


def test_a_moved_start_is_reported_and_the_first_is_kept() -> None:
    ingest.apply([full()], now=NOW)
    changes = ingest.apply([full(advertised_start=START + timedelta(minutes=3))], now=NOW)
    assert changes.moved == {race().pk}
    assert race().advertised_start == START + timedelta(minutes=3)
    assert race().original_advertised_start == START


def test_an_override_holds_until_the_provider_says_something_new() -> None:
    ingest.apply([full()], now=NOW)
    override = START + timedelta(minutes=10)
    Race.objects.update(start_override=override, advertised_start=override)
    ingest.apply([full()], now=NOW)
    assert race().advertised_start == override
    ingest.apply([full(advertised_start=START + timedelta(minutes=1))], now=NOW)
    assert (race().advertised_start, race().start_override) == (START + timedelta(minutes=1), None)


def test_of_two_answers_with_one_id_the_later_counts() -> None:
    ingest.apply([status(distance_m=1000), status(distance_m=1200)], now=NOW)
    assert race().distance_m == 1200


def test_of_two_answers_with_one_id_the_newer_counts_and_then_the_one_that_says_more() -> None:
    newer, older = (status(distance_m=metres, source_time=NOW + timedelta(seconds=metres)) for metres in (1200, 1000))
    ingest.apply([newer, older], now=NOW)
    assert race().distance_m == 1200
    ingest.apply([status("r2", distance_m=1400), status("r2", status=None, provider_status=None)], now=NOW)
    assert Race.objects.get(provider_race_id="r2").distance_m == 1400


def test_a_race_without_a_start_waits_until_one_is_reported() -> None:
    assert not ingest.apply([full(advertised_start=None)], now=NOW).races
    assert not Race.objects.exists()
    ingest.apply([full()], now=NOW)
    assert race().runners.count() == 3


def test_a_race_that_vanished_from_the_card_is_left_as_it_is() -> None:
    ingest.apply([status("r1"), status("r2")], now=NOW)
    before = Race.objects.values().get(provider_race_id="r1")
    ingest.apply([status("r2", distance_m=900)], now=START)
    assert Race.objects.values().get(provider_race_id="r1") == before


@pytest.mark.parametrize("when", ["new", "changed", "unchanged"])
def test_the_number_of_queries_does_not_grow_with_the_number_of_races(when: str) -> None:
    def queries(count: int, offset: int) -> int:
        answers = [full(f"r{offset + index}") for index in range(count)]
        if when != "new":
            ingest.apply(answers, now=NOW)
        odds = "9.90" if when == "changed" else "2.50"
        again = [
            replace(t, runners=tuple(replace(r, fixed_win=Decimal(odds)) for r in t.runners or ())) for t in answers
        ]
        with CaptureQueriesContext(connection) as seen:
            ingest.apply(again, now=NOW)
        return len(seen)

    ingest.apply([status("seed")], now=NOW)
    assert queries(2, 100) == queries(8, 200) <= 15
