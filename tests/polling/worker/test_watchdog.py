"""Which deaths and which queues django-q2 does not survive."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from multiprocessing.sharedctypes import Synchronized
from types import SimpleNamespace
from typing import Any

import pytest
from django_q.conf import Conf

from polling.worker import watchdog
from polling.worker.watchdog import Death, QueueFlow, Role, Watchdog, fatal_reason

KILLED, ENDED = -9, -15


@pytest.mark.parametrize(
    ("death", "ends_the_pool"),
    [
        pytest.param(Death(Role.WORKER, KILLED, timer=-1), True, id="an idle worker"),
        pytest.param(Death(Role.WORKER, ENDED, timer=-1), True, id="an idle worker, by SIGTERM"),
        pytest.param(Death(Role.WORKER, KILLED, timer=11.5), False, id="a busy worker"),
        pytest.param(Death(Role.WORKER, ENDED, timer=0), False, id="a worker that was ended for its timeout"),
        pytest.param(Death(Role.WORKER, 0, timer=-2), False, id="a recycled worker"),
        pytest.param(Death(Role.WORKER, 0, timer=-1), False, id="a worker that was asked to stop"),
        pytest.param(Death(Role.WORKER, 1, timer=-1), False, id="a worker that raised has given back its lock"),
        pytest.param(Death(Role.MONITOR, KILLED), True, id="the monitor"),
        pytest.param(Death(Role.MONITOR, 1), False, id="a monitor that raised"),
        pytest.param(Death(Role.PUSHER, KILLED), False, id="the pusher"),
        pytest.param(Death(Role.PUSHER, 0), False, id="a pusher that lost its broker"),
    ],
)
def test_a_death_ends_the_pool_only_where_it_may_hold_a_lock(death: Death, ends_the_pool: bool) -> None:
    assert bool(fatal_reason(death)) is ends_the_pool


@pytest.mark.parametrize(
    ("looks", "stuck"),
    [
        pytest.param([(0, 1, 0), (22, 1, 0)], False, id="just within the limit"),
        pytest.param([(0, 1, 0), (22.5, 1, 0)], True, id="waited too long"),
        pytest.param([(0, 1, 0), (20, 1, 19), (40, 1, 19)], False, id="one was taken in between"),
        pytest.param([(0, 1, 0), (20, 0, 0), (21, 1, 0), (40, 1, 0)], False, id="the queue was empty in between"),
        pytest.param([(500, 0, 0), (501, 1, 0)], False, id="idle for long, then a task"),
        pytest.param([(500, 0, 0), (501, 1, 0), (524, 1, 0)], True, id="and nobody takes it"),
    ],
)
def test_a_queue_is_stuck_when_something_waits_and_nothing_is_taken(
    looks: list[tuple[float, int, float]], stuck: bool
) -> None:
    flow = QueueFlow(limit=22)
    found = [flow.is_stuck(waiting, last=last, now=now) for now, waiting, last in looks]
    assert found == [False] * (len(looks) - 1) + [stuck]


@pytest.fixture
def timer() -> Iterator["Synchronized[float]"]:
    """The timer of the only worker, as django-q2 hangs it on the process: above 0 while it is busy."""
    multiprocess = multiprocessing.get_context("fork")
    worker: Any = multiprocess.Process(target=time.sleep, args=(60,), daemon=True)
    worker.timer = multiprocess.Value("f", watchdog.IDLE)
    worker.start()
    yield worker.timer
    worker.kill()
    worker.join()


@pytest.fixture
def first_problem() -> Callable[..., tuple[float, str]]:
    """Looks twice a second for so long; when something was wrong first, and what."""
    dog, began = Watchdog(0), 1000.0
    dog.marks[:] = [began] * len(watchdog.Mark)

    def look(since: float, until: float, *, waiting: int, fetching: bool = True) -> tuple[float, str]:
        for step in range(int(since * 2), int(until * 2)):
            if fetching:
                dog.marks[watchdog.Mark.FETCHED] = began + step / 2
            stat = SimpleNamespace(monitor=0, pusher=0, task_q_size=waiting, done_q_size=0)
            if reason := dog.problem(stat, running=True, now=began + step / 2):
                return step / 2, reason
        return until, ""

    return look


Look = Callable[..., tuple[float, str]]


def test_a_worker_busy_within_the_timeout_of_its_own_task_is_no_reason_to_end_the_pool(
    timer: "Synchronized[float]", first_problem: Look
) -> None:
    timer.value = 43
    assert first_problem(0, 40, waiting=2) == (40, "")
    timer.value = watchdog.IDLE
    when, why = first_problem(40, 100, waiting=2)
    assert why == "no worker takes a task"
    assert 62 <= when <= 63, "the limit begins again when it has ended"


def test_tasks_that_an_idle_worker_does_not_take_end_the_pool(
    timer: "Synchronized[float]", first_problem: Look
) -> None:
    assert first_problem(0, 100, waiting=1) == (22.5, "no worker takes a task")


def test_a_pusher_that_stands_still_is_noticed_as_soon_whatever_waits_for_it(first_problem: Look) -> None:
    assert first_problem(0, 100, waiting=0, fetching=False) == (15.5, "the pusher fetches nothing")


def test_a_pusher_that_waits_for_room_in_the_queue_is_well(timer: "Synchronized[float]", first_problem: Look) -> None:
    timer.value = 43
    assert first_problem(0, 40, waiting=Conf.QUEUE_LIMIT, fetching=False) == (40, "")
    assert first_problem(40, 55, waiting=0, fetching=False) == (55, ""), "the limit begins when there is room"


def test_without_a_supervisor_nothing_is_watched() -> None:
    watchdog.check(None, running=True)
    watchdog.record_fetch()
    assert watchdog.send_keepalive()
