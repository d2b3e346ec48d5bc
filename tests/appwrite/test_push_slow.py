"""A slow server is no outage: what was answered is kept, what found no time is no failure, and all of it gets there."""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest

from polling import tasks
from polling.appwrite import parallel, pull, push, states, sweep
from polling.errors import Ambiguous, Unavailable
from polling.models import PollLog, PollState, SyncCheckpoint, SyncLease, SyncServer
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, change, pushed, state_of
from tests.appwrite.gate import Gate
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
SHORT = timedelta(seconds=3.5)


class Brake:
    """Lets some calls through at once and keeps the others waiting until it is released; counts those inside."""

    def __init__(self) -> None:
        self.free = 0
        self.seconds = 0.0
        self.released = threading.Event()
        self.most_inside = 0
        self._inside, self._numbers, self._lock = 0, count(), threading.Lock()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            self.most_inside = max(self.most_inside, self._inside)
            waits = next(self._numbers) >= self.free
        if waits:
            self.released.wait(self.seconds or 30)

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1


@pytest.fixture
def brake(gate: Gate) -> Iterator[Brake]:
    brake = Brake()
    yield brake
    brake.released.set()


def slow(gate: Gate, brake: Brake, method: str) -> None:
    gate.before[method] = brake.enter
    gate.after[method] = brake.leave


def changed_races(number: int) -> list[Race]:
    races = [make_race() for _ in range(number)]
    pushed()
    for race in races:
        change(race, name="Plate")
    return races


def blameless(races: list[Race]) -> bool:
    """Whether no attempt was counted and none waits."""
    known = [state_of(race) for race in races]
    return all((state.attempts, state.next_try_at, state.error) == (0, None, "") for state in known)


def test_replies_in_hand_are_kept_and_what_found_no_time_is_no_failure(
    appwrite: Appwrite, gate: Gate, brake: Brake, caplog: pytest.LogCaptureFixture
) -> None:
    races = changed_races(30)
    brake.free = 5
    slow(gate, brake, "PATCH")
    with caplog.at_level(logging.WARNING, logger="polling"):
        done = push.run(now=NOW, budget=SHORT)
    assert (done.trouble, done.unfinished, done.races.changed, done.races.waiting) == (None, True, 5, 0)
    assert [state_of(race).pushed_version for race in races].count(2) == 5
    assert blameless(races)
    assert SyncLease.objects.get(table="races").held_until is None
    assert caplog.records == []
    brake.released.set()
    assert push.run(now=NOW).trouble is None
    assert {row["name"] for row in appwrite.rows()} == {"Plate"}
    assert [state_of(race).pushed_version for race in races] == [2] * 30


def test_what_landed_after_our_deadline_is_known_for_our_own(appwrite: Appwrite, gate: Gate, brake: Brake) -> None:
    [race, other] = changed_races(2)
    brake.free = 1
    gate.after["PATCH"] = brake.enter  # carried out, and not answered in time
    assert push.run(now=NOW, budget=SHORT).unfinished
    brake.released.set()
    done = pushed()
    assert {row["name"] for row in appwrite.rows()} == {"Plate"}
    assert blameless([race, other])
    assert not done.unfinished
    assert not states.dirty(now=NOW).exists()


def test_a_server_that_takes_its_time_is_served_steadily_and_by_fewer_calls(
    appwrite: Appwrite, gate: Gate, brake: Brake
) -> None:
    races = changed_races(24)
    brake.seconds = 1.2
    slow(gate, brake, "PATCH")
    left, runs = 24, 0
    while left and runs < 24:
        done = push.run(now=NOW, budget=timedelta(seconds=6))
        runs += 1
        assert done.trouble is None
        assert blameless(races)
        left = states.dirty(now=NOW).count()
    assert left == 0
    assert brake.most_inside <= parallel.FIRST
    assert parallel.concurrency().limit == parallel.LEAST


def test_on_1_8_answers_in_hand_are_read_back_though_the_time_is_over(
    old_appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    races = changed_races(3)
    old_appwrite.fault("delay", method="PATCH", times=1000, delay_ms=2600)
    done = push.run(now=NOW, budget=SHORT)
    assert done.trouble is None
    assert done.races.changed + done.races.merged == 3
    assert blameless(races)


def test_a_server_that_answers_nothing_at_all_is_an_outage(appwrite: Appwrite, gate: Gate, brake: Brake) -> None:
    races = changed_races(20)
    slow(gate, brake, "PATCH")
    done = push.run(now=NOW, budget=SHORT)
    assert isinstance(done.trouble, Ambiguous)
    assert [state_of(race).attempts for race in races] == [1] * 20


def test_deletions_that_found_no_time_are_no_failure(appwrite: Appwrite, gate: Gate, brake: Brake) -> None:
    races = [make_race() for _ in range(8)]
    pushed()
    Race.objects.filter(pk__in=[race.pk for race in races]).delete()
    brake.free = 3
    slow(gate, brake, "DELETE")
    done = push.run(now=NOW, budget=SHORT)
    assert (done.trouble, done.races.deleted, done.unfinished) == (None, 3, True)
    assert [state.attempts for state in states.states()] == [0] * 5
    brake.released.set()
    pushed()
    assert appwrite.rows() == []


def test_poll_logs_that_found_no_time_are_no_failure(appwrite: Appwrite, gate: Gate, brake: Brake) -> None:
    race = make_race()
    pushed()
    for minutes in range(2):
        PollLog.objects.create(
            race=race, slot_at=NOW + timedelta(minutes=minutes), state=PollState.FAILED.value, starts_incident=True,
            started_at=NOW, finished_at=NOW,
        )  # fmt: skip
    change(race, name="Plate")
    slow(gate, brake, "POST")
    done = push.run(now=NOW, budget=SHORT)
    assert (done.trouble, done.unfinished, done.races.changed) == (None, True, 1)
    assert SyncCheckpoint.objects.get(table="poll_logs").error == ""


def test_a_pull_that_read_something_and_ran_out_of_time_has_not_failed(
    appwrite: Appwrite, gate: Gate, brake: Brake
) -> None:
    race = make_race()
    pushed()
    appwrite.edit(state_of(race).remote_id, staff_note="theirs")
    brake.free = 1
    slow(gate, brake, "GET")
    done = pull.run(now=NOW, budget=SHORT)
    assert (done.trouble, done.taken) == (None, 0)
    assert SyncCheckpoint.objects.get(table="races").error == ""
    brake.released.set()
    assert pull.run(now=NOW).taken == 1


def test_a_pull_that_read_nothing_at_all_has(gate: Gate, brake: Brake) -> None:
    slow(gate, brake, "GET")
    assert isinstance(pull.run(now=NOW, budget=timedelta(seconds=2.5)).trouble, Unavailable)


def test_a_sweep_that_ran_out_of_time_has_not_failed(appwrite: Appwrite, gate: Gate, brake: Brake) -> None:
    race = make_race()
    pushed()
    appwrite.edit(state_of(race).remote_id, staff_note="theirs")
    brake.free = 1
    slow(gate, brake, "GET")
    done = sweep.run(now=NOW, budget=SHORT)
    assert (done.trouble, done.finished) == (None, False)
    brake.released.set()
    assert sweep.run(now=NOW).finished


def test_what_is_known_of_the_server_holds_until_there_is_time_to_ask_again(
    appwrite: Appwrite, gate: Gate, brake: Brake
) -> None:
    race = make_race()
    pushed()
    SyncServer.objects.update(probed_at=NOW - timedelta(days=1))
    change(race, name="Plate")
    brake.seconds = 1.0
    slow(gate, brake, "POST")
    began = time.monotonic()
    done = push.run(now=NOW, budget=timedelta(seconds=20))
    assert time.monotonic() - began < 20
    assert (done.trouble, done.races.changed) == (None, 1)


def test_a_push_that_found_no_time_for_all_asks_for_another(
    appwrite: Appwrite, gate: Gate, brake: Brake, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed_races(2)
    brake.free = 1
    slow(gate, brake, "PATCH")
    monkeypatch.setattr(push, "BUDGET", SHORT)
    asked: list[None] = []
    monkeypatch.setattr("polling.errands._enqueue", lambda task: asked.append(None))
    monkeypatch.setattr(push.run, "__kwdefaults__", {"budget": SHORT})
    tasks.push()
    assert len(asked) == 1
