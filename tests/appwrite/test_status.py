"""How the sync stands, in numbers: every race is counted once, and what is wrong is named."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from polling.appwrite import status, sync_state
from polling.appwrite.checkpoints import checkpoint_of
from polling.appwrite.lease import HOLDS_FOR, Lease, push_of
from polling.appwrite.push import logs as push_logs
from polling.appwrite.status import TableStatus
from polling.models import PollState, SyncConflict, SyncServer, SyncState, UnmatchedRow
from races.models import Race
from tests.appwrite.conftest import NOW, TARGET, Appwrite, change, pulled, pushed, state_of
from tests.factories import make_log, make_race

pytestmark = pytest.mark.django_db(transaction=True)

SPLIT = ("in_sync", "dirty", "in_flight", "waiting", "missing", "dead")


@pytest.fixture(autouse=True)
def target(settings: Any) -> None:
    settings.APPWRITE_ENDPOINT, settings.APPWRITE_TARGET = "http://127.0.0.1:1/v1", TARGET


def races() -> TableStatus:
    return status.numbers(now=NOW).tables[0]


def split() -> tuple[int, ...]:
    numbers = races()
    counts = tuple(getattr(numbers, name) for name in SPLIT)
    assert sum(counts) == numbers.rows
    return counts


def known(race: Race, **values: Any) -> SyncState:
    state = sync_state.new_state(race.pk, f"row-{race.pk}", **{"pushed_version": race.version} | values)
    state.save()
    return state


def one_of_each() -> None:
    """A race in sync, two dirty ones of which one is unknown, one that waits, one deleted in Appwrite, two dead."""
    known(make_race())
    make_race()
    known(make_race(), pushed_version=0)
    known(make_race(), pushed_version=0, attempts=2, next_try_at=NOW + timedelta(seconds=1), error="Unavailable: down")
    known(make_race(), pushed_version=0, base_updated_at="2026", remote_deleted_at=NOW)
    known(make_race(), pushed_version=0, dead_since=NOW, attempts=1, error="InvalidRequest: too long")
    known(make_race(), dead_since=NOW, attempts=1, error="ValueError: no text")


def test_every_race_is_in_one_of_six_states() -> None:
    one_of_each()
    assert split() == (1, 2, 0, 1, 1, 2)


def test_dirty_rows_are_in_flight_while_a_push_has_the_table() -> None:
    one_of_each()
    lease = Lease(push_of(sync_state.TABLE), now=NOW)
    assert lease.take()
    assert split() == (1, 0, 2, 1, 1, 2)
    lease.release()
    assert split() == (1, 2, 0, 1, 1, 2)


def test_the_lease_of_a_pusher_that_died_is_no_flight() -> None:
    make_race()
    assert Lease(push_of(sync_state.TABLE), now=NOW - 2 * HOLDS_FOR).take()
    assert split() == (0, 1, 0, 0, 0, 0)


def test_a_server_left_alone_is_no_flight_and_says_until_when() -> None:
    make_race()
    lease = Lease(push_of(sync_state.TABLE), now=NOW)
    lease.take()
    lease.release(wait=timedelta(seconds=30))
    numbers = races()
    assert (numbers.dirty, numbers.in_flight) == (1, 0)
    assert numbers.left_alone_until and numbers.left_alone_until - NOW >= timedelta(seconds=30)


def test_a_wait_that_is_over_is_dirty_again() -> None:
    known(make_race(), pushed_version=0, attempts=1, next_try_at=NOW)
    assert split() == (0, 1, 0, 0, 0, 0)


def test_rows_of_races_that_are_gone_are_still_to_be_deleted() -> None:
    for values in ({}, {"dead_since": NOW}, {"next_try_at": NOW + timedelta(seconds=1)}):
        race = make_race()
        known(race, **values)
        race.delete()
    assert split() == (0, 1, 0, 1, 0, 1)


def test_states_of_another_appwrite_do_not_count() -> None:
    other = known(make_race(), dead_since=NOW)
    SyncState.objects.filter(pk=other.pk).update(target="another")
    assert split() == (0, 1, 0, 0, 0, 0)


def test_the_numbers_agree_with_what_push_and_pull_do(appwrite: Appwrite) -> None:
    first, second = make_race(), make_race()
    assert split() == (0, 2, 0, 0, 0, 0)
    pushed()
    assert split() == (2, 0, 0, 0, 0, 0)
    change(first, name="Cup")
    assert split() == (1, 1, 0, 0, 0, 0)
    appwrite.edit(state_of(second).remote_id, name="Oaks")
    assert pulled().conflicts == 1
    numbers = status.numbers(now=NOW + timedelta(seconds=4))
    assert (numbers.open_conflicts, numbers.tables[0].checkpoint_age_seconds) == (1, 4)
    assert numbers.tables[0].read_to == state_of(second).base_updated_at
    pushed()
    assert split() == (2, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(("wanted", "counts"), [("errors", (1, 0, 1)), ("all", (3, 1, 2)), ("none", (0, 0, 0))])
def test_poll_logs_count_as_far_as_they_are_for_appwrite(wanted: str, counts: tuple[int, ...], settings: Any) -> None:
    settings.APPWRITE_POLL_LOGS = wanted
    race = make_race()
    make_log(race, slot_at=NOW, state=PollState.FAILED, starts_incident=True)
    make_log(race, slot_at=NOW + timedelta(seconds=15))
    make_log(race, slot_at=NOW + timedelta(seconds=30), state=PollState.RUNNING)
    if wanted == "all":
        make_log(race, slot_at=NOW + timedelta(seconds=45), pushed_at=NOW)
    numbers = status.numbers(now=NOW).tables[1]
    assert (numbers.table, numbers.rows, numbers.in_sync, numbers.dirty) == (push_logs.TABLE, *counts)


def test_what_is_dead_held_or_failing_is_named_in_words() -> None:
    assert status.numbers(now=NOW).problems == []
    one_of_each()
    checkpoint = checkpoint_of(sync_state.TABLE)
    checkpoint.deletion_guard, checkpoint.error = "21 of 30 rows are gone", "Blocked: no such key"
    checkpoint.save()
    SyncServer.objects.create(target=TARGET, problem="Appwrite 1.7 cannot compare and set")
    assert status.numbers(now=NOW).problems == [
        "races: 2 given up until a person acts",
        "races: deletions wait for a person: 21 of 30 rows are gone",
        "races: 1 wait after: Unavailable: down",
        "races: Blocked: no such key",
        "Appwrite 1.7 cannot compare and set",
    ]


def test_rows_whose_next_try_is_due_are_still_behind() -> None:
    known(make_race(), pushed_version=0, attempts=2, next_try_at=NOW - timedelta(seconds=1), error="Unavailable: down")
    assert split() == (0, 1, 0, 0, 0, 0)
    assert status.numbers(now=NOW).problems == ["races: 1 wait after: Unavailable: down"]


@pytest.mark.parametrize(
    ("enabled", "problems"),
    [(False, ["it was switched off"]), (True, []), (None, [])],
    ids=["off", "on again", "not ours"],
)
def test_a_webhook_that_a_person_must_enable_is_a_problem(enabled: bool | None, problems: list[str]) -> None:
    SyncServer.objects.create(target=TARGET, webhook_enabled=enabled, webhook_problem="it was switched off")
    assert status.numbers(now=NOW).problems == problems


def test_only_the_configured_appwrite_counts() -> None:
    for target, version in ((TARGET, "1.9.6"), ("another", "1.8.1")):
        UnmatchedRow.objects.create(target=target, table="races", row_id="x", problem="no start", found_at=NOW)
        SyncServer.objects.create(target=target, version=version)
        state = SyncState.objects.create(target=target, table="races", local_pk=1, remote_id="r")
        for resolved_at in (NOW, None):
            SyncConflict.objects.create(state=state, field="name", found_at=NOW, resolved_at=resolved_at)
    numbers = status.numbers(now=NOW)
    assert (numbers.tables[0].unmatched_rows, numbers.server["version"], numbers.open_conflicts) == (1, "1.9.6", 1)


def test_the_numbers_take_as_many_queries_for_many_races_as_for_few() -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            status.numbers(now=NOW)
        return len(captured)

    one_of_each()
    few = queries()
    for _ in range(5):
        one_of_each()
    assert queries() == few <= 12
