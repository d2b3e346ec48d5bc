"""What an answer changes of a stored race, its meeting and its runners, and what its gaps leave as it is."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from races import ingest
from races.decisions import COMMAND, finalize
from races.models import Meeting, Race, Runner
from races.snapshots import DividendSnapshot, RaceSnapshot, ResultSnapshot, RunnerSnapshot, Scope, join_snapshots
from races.status import Outcome, RaceStatus, ResultState
from tests.factories import START
from tests.races.answers import MEETING, NOW, ended, full, race, status

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
PLACED = (ResultSnapshot(2, 1), ResultSnapshot(1, 2))
PAID = (DividendSnapshot("NZ", "Pool Win", (2,), Decimal("3.40"), ResultState.FINAL),)
FINAL = ended(Scope.FULL) | {"results": PLACED, "dividends": PAID}
ABANDONED = ended(Scope.FULL, Outcome.ABANDONED) | {"result_state": ResultState.NONE}
INTERIM: dict[str, Any] = {
    "status": RaceStatus.IN_PROGRESS,
    "provider_status": "Interim",
    "result_state": ResultState.INTERIM,
    "results": PLACED,
}


def race_after(answer: RaceSnapshot, minutes: float) -> Race:
    """The race after an answer that came these minutes past its start."""
    ingest.apply([answer], now=START + minutes * MINUTE)
    return race()


def test_a_race_that_moves_to_another_meeting_gives_both_their_day() -> None:
    tomorrow = START + timedelta(days=1)
    ingest.apply([full(), full("r2", advertised_start=tomorrow)], now=NOW)
    old = Meeting.objects.get()
    ingest.apply(
        [full(meeting=replace(MEETING, provider_meeting_id="m2")), full("r2", advertised_start=tomorrow)], now=NOW
    )
    new = Meeting.objects.exclude(pk=old.pk).get()
    assert new.racing_day == START.astimezone(new.zone).date()
    old.refresh_from_db()
    assert old.racing_day == tomorrow.astimezone(old.zone).date()


def test_a_final_that_says_that_there_are_no_placings_is_not_proven_by_those_of_the_interim() -> None:
    race_after(full(), -10)
    assert race_after(full(**INTERIM), 3).result_version == 1
    kept = race_after(full(**FINAL | {"results": ()}), 4)
    assert (kept.status, kept.outcome, len(kept.results), kept.result_version) == ("in_progress", "", 2, 1)
    assert kept.unproven_final_at == START + 4 * MINUTE
    confirmed = race_after(full(**FINAL | {"results": ()}), 5)
    assert (confirmed.status, confirmed.outcome, confirmed.results) == ("finalized", "resulted", [])


def test_a_final_that_says_nothing_of_placings_is_proven_by_those_of_the_interim() -> None:
    race_after(full(), -10)
    race_after(full(**INTERIM), 3)
    now = race_after(full(**FINAL | {"results": None}), 4)
    assert (now.status, now.outcome, now.result_state, len(now.results)) == ("finalized", "resulted", "final", 2)


@pytest.mark.parametrize("scope", list(Scope))
def test_an_interim_result_of_a_race_that_is_called_off_is_withdrawn_at_once_whoever_reports_it(scope: Scope) -> None:
    race_after(full(), -10)
    race_after(full(**INTERIM | {"dividends": PAID}), 3)
    answer = full(**ABANDONED) if scope is Scope.FULL else status(**ABANDONED | {"scope": scope})
    now = race_after(answer, 4)
    assert (now.outcome, now.results, now.dividends, now.result_version) == ("abandoned", [], [], 2)
    assert race_after(full(**ABANDONED), 5).result_version == 2


def test_placings_that_a_provider_takes_off_a_race_that_it_called_off_are_gone() -> None:
    race_after(full(), -10)
    assert len(race_after(full(**ABANDONED | {"results": PLACED}), 4).results) == 2
    assert len(race_after(full(**ABANDONED | {"results": None}), 5).results) == 2
    now = race_after(full(**ABANDONED), 6)
    assert (now.results, now.result_version) == ([], 2)


def test_a_race_that_is_final_then_abandoned_and_final_again_has_three_versions_of_its_result() -> None:
    race_after(full(), -10)
    versions = [
        race_after(full(**word), minutes).result_version for minutes, word in ((4, FINAL), (5, ABANDONED), (6, FINAL))
    ]
    assert versions == [1, 2, 3]
    assert (race().outcome, race().result_state, len(race().results)) == ("resulted", "final", 2)
    assert race_after(full(**FINAL), 7).result_version == 3


def test_a_correction_names_what_was_stored_where_a_status_brought_the_word_before() -> None:
    race_after(full(**ABANDONED), -10)
    race_after(status(**ended(Scope.STATUS)), 5)
    changes = ingest.apply([full(**FINAL)], now=START + 6 * MINUTE)
    assert [reversal.message for reversal in changes.reversals] == [
        "Now resulted: the provider reports Final after abandoned"
    ]


def test_a_race_that_opens_again_has_not_jumped_but_one_that_staff_ended_keeps_its_jump() -> None:
    jump = START + MINUTE
    closed: dict[str, Any] = {"status": RaceStatus.IN_PROGRESS, "provider_status": "Closed", "actual_start": jump}
    race_after(full(), -10)
    assert race_after(full(**closed), 1).actual_start == jump
    assert race_after(status(advertised_start=START + 20 * MINUTE), 2).actual_start is None
    race_after(full(**closed), 21)
    finalize([race().pk], by=COMMAND, reason="over", now=START + 22 * MINUTE)
    assert race_after(full(), 23).actual_start == jump


def test_a_runner_missing_from_an_answer_is_absent_once_no_row_of_it_is_unreadable() -> None:
    ingest.apply([full()], now=NOW)
    two = (full().runners or ())[:2]
    ingest.apply([full(runners=two, left_out=(("runners", 1),))], now=NOW)
    assert Runner.objects.filter(absent_since=None).count() == 3, "the row may have been its own"
    ingest.apply([full(runners=two)], now=NOW)
    gone = Runner.objects.exclude(absent_since=None).get()
    assert (gone.number, gone.fixed_win) == (3, None)


def test_a_runner_without_a_name_keeps_the_one_that_is_known() -> None:
    ingest.apply([full()], now=NOW)
    ingest.apply([full(runners=(RunnerSnapshot(1, ""), RunnerSnapshot(2, "Other Horse")))], now=NOW)
    assert list(Runner.objects.values_list("name", flat=True)) == ["Horse 1", "Other Horse", "Horse 3"]


def test_what_a_status_means_is_not_taken_from_another_report_of_the_race() -> None:
    final = status(**ended(Scope.STATUS))
    strange = status(status=None, provider_status="Weird", source_time=NOW)
    both = join_snapshots(final, strange)
    assert (both.status, both.outcome, both.result_state, both.unknown_status) == (None, None, None, "Weird")
    silent = join_snapshots(final, status(status=None, provider_status=None, source_time=NOW))
    assert (silent.status, silent.outcome, silent.provider_status) == (RaceStatus.FINALIZED, Outcome.RESULTED, "Final")
