"""A slow server is no outage: what was answered is kept, what found no time is no failure, and all of it gets there."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from polling import tasks
from polling.appwrite import sync_state
from polling.appwrite.api import parallel, rows
from polling.appwrite.api.client import _client_of
from polling.appwrite.pull import run as pull
from polling.appwrite.push import run as push
from polling.appwrite.push.expired_races import expire_races
from polling.appwrite.sweep import run as sweep
from polling.errors import Ambiguous, Unavailable
from polling.models import PollLog, PollState, SyncCheckpoint, SyncLease, SyncServer
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, change, pushed, state_of
from tests.appwrite.gate import ANY, Gate
from tests.appwrite.stopped_time import BUDGET_SECONDS, SlowServer, StoppedTime, stop_time, take_no_write_for_failed
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
BUDGET = timedelta(seconds=BUDGET_SECONDS)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[StoppedTime]:
    yield stop_time(monkeypatch)
    _client_of.cache_clear()  # its clients remember instants of this time


@pytest.fixture
def server(time: StoppedTime, monkeypatch: pytest.MonkeyPatch) -> SlowServer:
    """Where no write counts as failed."""
    take_no_write_for_failed(monkeypatch)
    return new_slow_server(time, monkeypatch)


def new_slow_server(time: StoppedTime, monkeypatch: pytest.MonkeyPatch) -> SlowServer:
    server = SlowServer(time)
    monkeypatch.setattr(parallel, "concurrency", lambda: server)
    return server


def slow(gate: Gate, server: SlowServer, method: str) -> None:
    gate.before[method] = server.enter
    gate.after[method] = server.leave


def changed_races(number: int) -> list[Race]:
    races = [make_race() for _ in range(number)]
    pushed()
    for race in races:
        change(race, name="Plate")
    return races


def edit_listed_in_time(appwrite: Appwrite, gate: Gate, server: SlowServer) -> None:
    """A row that somebody edited; it is listed in time, and read whole too late."""
    race = make_race()
    pushed()
    appwrite.edit(state_of(race).remote_id, staff_note="theirs")
    server.free = 1
    slow(gate, server, "GET")


def blameless(races: list[Race]) -> bool:
    """Whether no attempt was counted and none waits."""
    known = [state_of(race) for race in races]
    return all((state.attempts, state.next_try_at, state.error) == (0, None, "") for state in known)


def test_replies_in_hand_are_kept_and_what_found_no_time_is_no_failure(
    appwrite: Appwrite, gate: Gate, server: SlowServer, caplog: pytest.LogCaptureFixture
) -> None:
    races = changed_races(30)
    server.free = server.ends_with_answers = 5
    slow(gate, server, "PATCH")
    with caplog.at_level(logging.WARNING, logger="polling"):
        done = push.run(now=NOW, budget=BUDGET)
    assert (done.error, done.unfinished, done.races.changed, done.races.waiting) == (None, True, 5, 0)
    assert [state_of(race).pushed_version for race in races].count(2) == 5
    assert blameless(races)
    assert SyncLease.objects.get(work="push of races").held_until is None
    assert caplog.records == []
    server.release()
    assert push.run(now=NOW).error is None
    assert {row["name"] for row in appwrite.rows()} == {"Plate"}
    assert [state_of(race).pushed_version for race in races] == [2] * 30


def test_what_landed_after_our_deadline_is_known_for_our_own(
    appwrite: Appwrite, gate: Gate, server: SlowServer
) -> None:
    [race, other] = changed_races(2)
    server.free = server.ends_with_answers = 1
    gate.after["PATCH"] = server.enter  # carried out, and not answered in time
    assert push.run(now=NOW, budget=BUDGET).unfinished
    server.release()
    done = pushed()
    assert {row["name"] for row in appwrite.rows()} == {"Plate"}
    assert blameless([race, other])
    assert not done.unfinished
    assert not sync_state.dirty(now=NOW).exists()


def test_a_server_that_takes_its_time_is_served_steadily_and_by_fewer_calls(
    appwrite: Appwrite, gate: Gate, server: SlowServer
) -> None:
    races = changed_races(24)
    server.seconds_each = 1.2
    slow(gate, server, "PATCH")
    done = push.run(now=NOW, budget=BUDGET)
    assert (done.error, done.races.changed) == (None, 24)
    assert blameless(races)
    assert server.most_inside <= parallel.FIRST_AT_ONCE
    assert server.limit == parallel.LEAST_AT_ONCE


def test_on_1_8_answers_in_hand_are_read_back_though_the_time_is_over(
    old_appwrite: Appwrite, server: SlowServer
) -> None:
    races = changed_races(3)
    server.ends_with_answers = 3
    done = push.run(now=NOW, budget=BUDGET)
    assert done.error is None
    assert done.races.changed + done.races.merged == 3
    assert blameless(races)


def test_a_server_that_answers_nothing_at_all_is_an_outage(appwrite: Appwrite, gate: Gate, server: SlowServer) -> None:
    changed_races(20)
    slow(gate, server, ANY)
    done = push.run(now=NOW, budget=BUDGET)
    assert isinstance(done.error, Unavailable)


def test_a_server_that_is_silent_for_pull_and_push_is_one_message(
    appwrite: Appwrite, gate: Gate, time: StoppedTime, server: SlowServer, caplog: pytest.LogCaptureFixture
) -> None:
    changed_races(2)
    gate.before[ANY] = time.jump
    assert isinstance(pull.run(now=NOW, budget=BUDGET).error, Unavailable)
    gate.before[ANY] = partial(time.jump, 3 * BUDGET_SECONDS)
    assert isinstance(push.run(now=NOW, budget=BUDGET).error, Unavailable)
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == ["WARNING"]


def test_so_is_one_that_answers_no_write_for_longer_than_a_slow_one_takes(
    appwrite: Appwrite, gate: Gate, time: StoppedTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    races = changed_races(20)
    server = new_slow_server(time, monkeypatch)
    slow(gate, server, "PATCH")
    done = push.run(now=NOW, budget=BUDGET)
    assert isinstance(done.error, Ambiguous)
    assert all(state_of(race).attempts == 1 for race in races)


def test_so_is_one_that_answers_no_write_in_time_however_early_they_are_cut_off(
    appwrite: Appwrite, gate: Gate, time: StoppedTime, server: SlowServer
) -> None:
    """Else one push would follow the other for ever, and nobody would hear of it."""
    races = changed_races(8)
    gate.before["PATCH"] = time.jump
    errors = []
    for number in range(rows.MOST_UNANSWERED + 1):
        change(races[number % 8], name=f"Plate {number}")
        errors.append(push.run(now=NOW + timedelta(minutes=number), budget=BUDGET).error)
    assert errors[0] is None
    assert any(isinstance(error, Ambiguous) for error in errors)


def test_deletions_that_found_no_time_are_no_failure(appwrite: Appwrite, server: SlowServer) -> None:
    races = [make_race() for _ in range(8)]
    pushed()
    Race.objects.filter(pk__in=[race.pk for race in races]).delete()
    server.limit, server.ends_with_answers = 1, 3
    done = push.run(now=NOW, budget=BUDGET)
    assert (done.error, done.unfinished) == (None, True)
    assert 3 <= done.races.deleted < 8, "what was under way is kept, too"
    assert [state.attempts for state in sync_state.states()] == [0] * (8 - done.races.deleted)
    pushed()
    assert appwrite.rows() == []


def test_poll_logs_that_found_no_time_are_no_failure(appwrite: Appwrite, gate: Gate, server: SlowServer) -> None:
    race = make_race()
    pushed()
    for minutes in range(2):
        PollLog.objects.create(
            race=race, slot_at=NOW + timedelta(minutes=minutes), state=PollState.FAILED.value, starts_incident=True,
            started_at=NOW, finished_at=NOW,
        )  # fmt: skip
    change(race, name="Plate")
    slow(gate, server, "POST")
    done = push.run(now=NOW, budget=BUDGET)
    assert (done.error, done.unfinished, done.races.changed) == (None, True, 1)
    assert SyncCheckpoint.objects.get(table="poll_logs").error == ""


def test_a_pull_that_read_something_and_ran_out_of_time_has_not_failed(
    appwrite: Appwrite, gate: Gate, server: SlowServer
) -> None:
    edit_listed_in_time(appwrite, gate, server)
    done = pull.run(now=NOW, budget=BUDGET)
    assert (done.error, done.taken) == (None, 0)
    assert SyncCheckpoint.objects.get(table="races").error == ""
    server.release()
    assert pull.run(now=NOW).taken == 1


def test_a_pull_that_read_nothing_at_all_has(gate: Gate, server: SlowServer) -> None:
    slow(gate, server, "GET")
    assert isinstance(pull.run(now=NOW, budget=BUDGET).error, Unavailable)


def test_a_sweep_that_ran_out_of_time_has_not_failed(appwrite: Appwrite, gate: Gate, server: SlowServer) -> None:
    edit_listed_in_time(appwrite, gate, server)
    done = sweep.run(now=NOW, budget=BUDGET)
    assert (done.error, done.finished) == (None, False)
    server.release()
    assert sweep.run(now=NOW).finished


def test_rows_of_expired_races_that_found_no_time_are_no_failure(
    appwrite: Appwrite, gate: Gate, server: SlowServer
) -> None:
    race = make_race()
    pushed()
    expire_races([race.pk], now=NOW)
    race.delete()
    server.free = 1
    slow(gate, server, ANY)
    done = push.run(now=NOW, budget=BUDGET)
    assert (done.error, done.unfinished, done.races.expired) == (None, True, 0)
    assert [state.attempts for state in sync_state.states()] == [0]
    server.release()
    pushed()
    assert appwrite.rows() == []


@pytest.mark.parametrize("calls_in_time", [1, 2, 3])
def test_a_probe_goes_on_where_its_time_was_over(
    appwrite: Appwrite, gate: Gate, time: StoppedTime, monkeypatch: pytest.MonkeyPatch, calls_in_time: int
) -> None:
    """Its calls, the version, the row, the stale write and the removal, need not fit into one push."""
    take_no_write_for_failed(monkeypatch)
    make_race()
    SyncServer.objects.all().delete()
    for _ in range(3):
        server = new_slow_server(time, monkeypatch)
        server.free = calls_in_time
        slow(gate, server, ANY)
        assert push.run(now=NOW, budget=BUDGET).error is None
    probed = SyncServer.objects.get()
    assert (probed.compares_and_sets, probed.problem, len(appwrite.rows())) == (True, "", 1)


def test_rows_that_are_gone_do_not_hold_up_the_others(appwrite: Appwrite, gate: Gate, server: SlowServer) -> None:
    """To find out how many are gone takes more time than there is."""
    races = changed_races(3)
    appwrite.delete(state_of(races[0]).remote_id)
    server.free = 1
    slow(gate, server, "GET")
    done = push.run(now=NOW, budget=BUDGET)
    assert (done.error, done.unfinished, done.races.changed) == (None, True, 2)


def test_what_a_pull_has_listed_is_fetched_though_the_time_is_over(
    appwrite: Appwrite, gate: Gate, server: SlowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a server that takes most of the time for each call would never be pulled from."""
    monkeypatch.setattr(pull, "FETCH_SECONDS", 9 * BUDGET_SECONDS)
    edit_listed_in_time(appwrite, gate, server)
    done = pull.run(now=NOW, budget=BUDGET)
    assert (done.error, done.taken) == (None, 1)


def test_what_is_known_of_the_server_holds_while_there_is_no_time_to_ask_again(
    appwrite: Appwrite, gate: Gate, server: SlowServer
) -> None:
    race = make_race()
    pushed()
    SyncServer.objects.update(probed_at=NOW - timedelta(days=1))
    change(race, name="Plate")
    server.free = 1
    slow(gate, server, ANY)
    done = push.run(now=NOW, budget=BUDGET)
    assert (done.error, done.unfinished) == (None, True)
    assert (SyncServer.objects.get().compares_and_sets, SyncServer.objects.get().problem) == (True, "")
    server.release()
    assert pushed().races.changed == 1


def test_a_push_that_found_no_time_for_all_asks_for_another(
    appwrite: Appwrite, gate: Gate, server: SlowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_races(2)
    server.free = server.ends_with_answers = 1
    slow(gate, server, "PATCH")
    asked: list[None] = []
    monkeypatch.setattr("polling.sync_queue._enqueue_once", lambda task, **_: asked.append(None))
    monkeypatch.setattr(push.run, "__kwdefaults__", {"budget": BUDGET})
    tasks.push()
    assert len(asked) == 1
