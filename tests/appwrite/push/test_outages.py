"""Pushing while something is wrong: nothing escapes, nothing is lost, nothing is doubled, and it heals by itself."""

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection
from django_q.exceptions import TimeoutException
from django_q.timeout import TimeoutHandler

from polling.appwrite import checkpoints, mapping, sync_state
from polling.appwrite.api.client import connect
from polling.appwrite.push import run as push
from polling.appwrite.schema import provision as schema
from polling.errors import Ambiguous, Blocked, Malformed, RateLimited, Unavailable
from polling.models import SyncConflict, SyncLease, SyncState
from races.models import Race
from tests.appwrite.conftest import DATABASE, NOW, PATIENCE, TOO_EARLY, Appwrite, change, pushed, state_of, swept
from tests.appwrite.gate import Gate
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(hours=1)


def down(settings: Any) -> None:
    settings.APPWRITE_ENDPOINT = "http://127.0.0.1:1/v1"


def test_while_appwrite_is_down_races_wait_and_go_later(
    appwrite: Appwrite, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    old = make_race(name="Cup")
    pushed()
    up = settings.APPWRITE_ENDPOINT
    down(settings)
    change(old, name="Plate")
    make_race(name="New")
    with caplog.at_level(logging.INFO, logger="polling"):
        assert isinstance(push.run(now=NOW).error, Unavailable)
        assert isinstance(push.run(now=NOW + timedelta(minutes=10)).error, Unavailable)
        settings.APPWRITE_ENDPOINT = up
        done = pushed(LATER)
    assert (done.races.created, done.races.changed) == (1, 1)
    assert {row["name"] for row in appwrite.rows()} == {"Plate", "New"}
    assert not sync_state.failing().exists()
    edges = [(record.levelname, record.name) for record in caplog.records]
    assert edges == [("WARNING", "polling.appwrite.push.outcomes"), ("INFO", "polling.appwrite.push.races")]


def test_a_server_that_fails_is_left_alone_for_a_while(appwrite: Appwrite) -> None:
    make_race()
    appwrite.fault("status", status=503, times=100)
    assert push.run(now=NOW).error
    asked = len(appwrite.asked())
    make_race()
    assert push.run(now=NOW).busy
    assert len(appwrite.asked()) == asked


def test_a_push_that_a_person_asks_for_does_not_wait(appwrite: Appwrite) -> None:
    make_race()
    appwrite.fault("status", status=503)
    assert push.run(now=NOW).error
    push.retry_now()
    assert pushed().races.created == 1


def test_a_key_revoked_amid_a_run_stops_it_and_a_new_key_resumes(
    appwrite: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    races = [make_race() for _ in range(30)]
    pushed()
    make_race()
    for race in races:
        change(race, name="Plate")
    appwrite.fault("status", status=401, method="PATCH", times=1000)
    done = push.run(now=NOW)
    assert isinstance(done.error, Blocked)
    assert (done.races.created, done.races.changed, done.races.waiting) == (1, 0, 30)
    assert len(appwrite.asked("PATCH")) <= 8, "the other threads give up too"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    appwrite.heal()
    assert pushed(LATER).races.changed == 30


def test_a_login_page_of_the_network_is_not_taken_for_success(appwrite: Appwrite) -> None:
    make_race()
    appwrite.fault("html", status=200, times=100)
    done = push.run(now=NOW)
    assert isinstance(done.error, Blocked)
    assert "web page" in str(done.error)
    assert SyncState.objects.get().pushed_version == 0
    appwrite.heal()
    assert pushed(LATER).races.created == 1


def test_a_redirect_is_not_taken_for_success(appwrite: Appwrite) -> None:
    make_race()
    appwrite.fault("redirect", times=100)
    assert isinstance(push.run(now=NOW).error, Blocked)
    assert appwrite.asked("GET") == []


def test_a_lost_reply_to_a_bulk_create_doubles_nothing_and_converges(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(3)]
    appwrite.fault("drop_after_commit")
    assert isinstance(push.run(now=NOW).error, Ambiguous)
    change(races[0], name="Plate")
    done = pushed(LATER)
    assert (done.races.merged, done.races.changed) == (3, 1)
    assert sorted(row["name"] for row in appwrite.rows()) == sorted(["Plate", races[1].name, races[2].name])
    assert not SyncConflict.objects.exists(), "what we wrote is no edit of theirs"
    appwrite.forget()
    pushed(LATER)
    assert appwrite.asked() == []


def test_a_lost_reply_to_an_update_converges_without_a_conflict(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    change(race, name="Plate")
    appwrite.fault("drop_after_commit", method="PATCH")
    assert isinstance(push.run(now=NOW).error, Ambiguous)
    Race.objects.filter(pk=race.pk).update(last_poll_time=NOW)
    appwrite.forget()
    assert pushed(LATER).races.merged == 1
    assert appwrite.row()["name"] == "Plate"
    assert appwrite.asked("PATCH") == [], "a read shows that it has landed"
    assert not SyncConflict.objects.exists()
    assert state_of(race).pushed_version == 2


def test_one_lost_reply_of_many_makes_only_its_row_wait(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(10)]
    pushed()
    for race in races:
        change(race, name="Plate")
    appwrite.fault("drop_after_commit", method="PATCH")
    done = pushed()
    assert (done.races.changed, done.races.waiting) == (9, 1)
    assert pushed(LATER).races.merged == 1
    assert not SyncConflict.objects.exists()


def test_a_rate_limit_is_waited_for_as_long_as_it_says(appwrite: Appwrite) -> None:
    race = make_race()
    appwrite.fault("status", status=429, retry_after=20)
    done = push.run(now=NOW)
    assert isinstance(done.error, RateLimited)
    wait = state_of(race).next_try_at
    assert wait is not None
    assert timedelta(seconds=20) <= wait - NOW < timedelta(seconds=25)
    appwrite.forget()
    assert pushed(NOW + timedelta(seconds=15)) == push.Pushed()
    assert appwrite.asked() == []
    assert pushed(NOW + timedelta(seconds=30)).races.created == 1


def test_a_poison_row_is_found_and_the_others_go(appwrite: Appwrite) -> None:
    good = [make_race() for _ in range(11)]
    bad = make_race(actual_start=TOO_EARLY)
    done = pushed()
    assert (done.races.created, done.races.dead) == (11, 1)
    state = state_of(bad)
    assert (state.dead_since is not None, state.attempts) == (True, 1)
    assert "row_invalid_structure" in state.error
    appwrite.forget()
    change(bad, provider_status="Open")
    assert pushed() == push.Pushed()
    assert appwrite.asked() == [], "a dead letter is not tried again by itself"
    change(bad, actual_start=None)
    assert sync_state.requeue_dead() == 1
    assert pushed().races.created == 1
    assert len(appwrite.rows()) == len(good) + 1


def test_a_changed_row_that_is_refused_is_given_up_alone(appwrite: Appwrite) -> None:
    bad, good = make_race(), make_race()
    pushed()
    change(bad, actual_start=TOO_EARLY)
    change(good, name="Plate")
    done = pushed()
    assert (done.races.changed, done.races.dead) == (1, 1)
    assert state_of(bad).dead_since is not None


def test_a_race_that_cannot_be_written_as_a_row_is_given_up_alone(appwrite: Appwrite) -> None:
    bad = make_race(results={"not": "a list"})
    make_race()
    done = pushed()
    assert (done.races.created, done.races.dead) == (1, 1)
    assert "is no text" in state_of(bad).error


def test_a_table_that_lacks_a_column_is_the_set_up_and_no_row_is_given_up(appwrite: Appwrite, settings: Any) -> None:
    settings.APPWRITE_DATABASE_ID = "drifted"
    client = connect()
    assert client is not None
    schema.apply(client)
    appwrite.api.call("DELETE", "/tablesdb/drifted/tables/races/columns/provider_status")
    for _ in range(3):
        make_race(provider_status="Open")
    done = push.run(now=NOW)
    assert isinstance(done.error, Blocked)
    assert "appwrite_schema apply" in str(done.error)
    assert (done.races.dead, done.races.waiting) == (0, 3)


def test_without_tables_it_says_what_to_do(appwrite: Appwrite, settings: Any) -> None:
    make_race()
    settings.APPWRITE_DATABASE_ID = "nowhere"
    done = push.run(now=NOW)
    assert isinstance(done.error, Blocked)
    assert "appwrite_schema apply" in str(done.error)


def test_a_database_deleted_amid_a_push_stops_it_and_loses_nothing(
    appwrite: Appwrite, gate: Gate, settings: Any
) -> None:
    """What is gone with it is recreated as after any mass deletion: when a person has released the deletion guard."""
    settings.APPWRITE_DATABASE_ID = "doomed"
    client = connect()
    assert client is not None
    schema.apply(client)
    races = [make_race() for _ in range(40)]
    pushed()
    for race in races:
        change(race, name="Plate")
    gate.before["PATCH"] = lambda: appwrite.api.call("DELETE", "/tablesdb/doomed")
    done = push.run(now=NOW)
    assert isinstance(done.error, Blocked)
    assert "APPWRITE_DATABASE_ID" in str(done.error)
    assert (done.races.dead, done.races.waiting) == (0, 40)
    gate.before.clear()
    schema.apply(client)
    assert (pushed(LATER).races.created, pushed(LATER).races.merged) == (0, 0)
    checkpoints.release_deletions("races")
    swept(LATER + timedelta(minutes=1))
    assert pushed(LATER).races.created == 40
    path = appwrite.path.replace(DATABASE, "doomed")
    assert len(appwrite.api.call("GET", path).json()["rows"]) == 25, "the first page"
    assert not sync_state.dirty(now=LATER).exists()


def test_more_rows_than_one_run_has_time_for_go_in_several(
    appwrite: Appwrite, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the time that the server has taken a batch there is none for a second one."""
    for _ in range(150):
        make_race()
    created = []
    for _ in range(2):
        with monkeypatch.context() as patched:
            longer_than_any = 2 * PATIENCE.total_seconds()
            gate.after["POST"] = partial(patched.setattr, push, "SECONDS_PER_STEP", longer_than_any)
            created.append(pushed().races.created)
    assert created == [100, 50]
    assert len(appwrite.rows()) == 150


def test_a_new_row_that_the_server_stumbles_over_does_not_hold_up_the_others(gate: Gate, appwrite: Appwrite) -> None:
    good, bad = [make_race() for _ in range(5)], make_race(name="poison")
    gate.poison = b"poison"
    tries = [push.run(now=NOW + attempt * timedelta(hours=1)) for attempt in range(4)]
    assert [bool(done.error) for done in tries] == [True, True, True, False]
    assert tries[-1].races.created == len(good) == len(appwrite.rows())
    assert (state_of(bad).attempts, state_of(bad).dead_since) == (4, None)


def test_a_row_that_fails_alone_time_and_again_is_given_up(gate: Gate) -> None:
    bad, good = make_race(), make_race()
    pushed()
    change(bad, name="poison")
    gate.poison = b"poison"
    SyncState.objects.filter(local_pk=bad.pk).update(attempts=sync_state.MOST_ATTEMPTS - 2)
    dead = []
    for attempt in range(3):
        change(good, name=f"Plate {attempt}")
        dead.append(pushed(NOW + attempt * timedelta(hours=1)).races.dead)
    assert dead == [0, 1, 0]
    assert state_of(bad).dead_since is not None


def test_an_outage_however_long_gives_up_no_row(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    change(race, name="Plate")
    appwrite.fault("status", status=500, method="PATCH", times=1000)
    for attempt in range(sync_state.MOST_ATTEMPTS + 2):
        assert push.run(now=NOW + attempt * timedelta(hours=1)).error
    assert (state_of(race).dead_since, state_of(race).attempts) == (None, sync_state.MOST_ATTEMPTS_IN_OUTAGE)


def test_an_answer_that_cannot_be_read_is_read_back_later(appwrite: Appwrite, gate: Gate) -> None:
    race = make_race()
    gate.answer["POST"] = lambda body: b'{"rows": ['
    assert isinstance(push.run(now=NOW).error, Malformed)
    assert len(appwrite.rows()) == 1
    gate.answer.clear()
    assert pushed(LATER).races.merged == 1
    assert state_of(race).pushed_version == 1


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="without the row"),
        pytest.param([{"$id": "another", "$updatedAt": "2026-11-23T02:00:00.000+00:00"}], id="with another row"),
    ],
)
def test_an_answer_that_leaves_a_row_out_is_read_back(appwrite: Appwrite, gate: Gate, rows: list[Any]) -> None:
    race = make_race()
    gate.answer["POST"] = lambda body: {"total": 1, "rows": rows}
    assert pushed().races.merged == 1
    assert len(appwrite.rows()) == 1
    assert state_of(race).pushed_version == 1


def test_an_answer_whose_row_cannot_be_read_gives_up_that_row(appwrite: Appwrite, gate: Gate) -> None:
    bad, good = make_race(), make_race()
    pushed()
    bad_row = state_of(bad).remote_id
    gate.answer["PATCH"] = lambda body: body | ({"$updatedAt": None} if body["$id"] == bad_row else {})
    for race in (bad, good):
        change(race, name="Plate")
    assert pushed().races.dead == 1
    assert "$updatedAt" in state_of(bad).error
    assert state_of(good).pushed_version == 2


@pytest.fixture
def silence(gate: Gate) -> Iterator[None]:
    """The server does what it is asked and does not say so, until the test is over."""
    over = threading.Event()
    gate.after["POST"] = over.wait
    yield
    over.set()


@pytest.mark.usefixtures("silence")
def test_a_server_that_never_answers_ends_with_the_budget(appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch) -> None:
    make_race()
    monkeypatch.setattr(push, "SECONDS_PER_STEP", 0.0)  # so that the push begins, however slow the machine is
    done = push.run(now=NOW, budget=timedelta(seconds=5))
    assert isinstance(done.error, Ambiguous)
    assert done.races.waiting == len(appwrite.rows()) == 1


@pytest.mark.usefixtures("silence")
def test_a_task_that_the_queue_ends_gives_its_lease_back(appwrite: Appwrite, gate: Gate) -> None:
    make_race()
    with pytest.raises(TimeoutException), TimeoutHandler(1):
        push.run(now=NOW)
    assert SyncLease.objects.get(work="push of races").holder == ""
    gate.after.clear()
    assert pushed().races.merged == len(appwrite.rows()) == 1


def test_a_busy_database_ends_the_push_and_the_rows_are_pushed_by_the_next(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    change(race, name="Plate")

    def deadlocked(execute: Any, sql: str, *args: Any) -> Any:
        if "polling_syncstate" in sql and sql.startswith("INSERT"):
            raise OperationalError("deadlock detected")
        return execute(sql, *args)

    with connection.execute_wrapper(deadlocked):
        assert isinstance(push.run(now=NOW).error, Unavailable)
    assert pushed().races.changed == 1


def test_a_back_dated_row_after_a_lost_reply_is_read_once(appwrite: Appwrite) -> None:
    race = make_race(provider_status="open")
    pushed()
    change(race, provider_status="closed")
    appwrite.fault("drop", method="PATCH")
    push.run(now=NOW)
    change(race, provider_status="open")
    long_ago = mapping.instant(NOW - timedelta(days=700))
    appwrite.edit(state_of(race).remote_id, name="theirs", **{"$updatedAt": long_ago})
    appwrite.forget()
    pushed(LATER)
    assert (len(appwrite.asked("GET")), len(appwrite.asked("PATCH"))) == (2, 1)
    assert appwrite.row()["name"] == race.name
