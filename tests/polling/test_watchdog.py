"""Which deaths and which queues django-q2 does not survive."""

import pytest

from polling import watchdog
from polling.watchdog import Death, Flow, Role, verdict

KILLED, ENDED = -9, -15


@pytest.mark.parametrize(
    ("death", "ends_the_lane"),
    [
        pytest.param(Death(Role.WORKER, KILLED, timer=-1), True, id="an idle worker"),
        pytest.param(Death(Role.WORKER, ENDED, timer=-1), True, id="an idle worker, by SIGTERM"),
        pytest.param(Death(Role.WORKER, KILLED, timer=11.5), False, id="a busy worker"),
        pytest.param(Death(Role.WORKER, ENDED, timer=0), False, id="a worker that was ended for its timeout"),
        pytest.param(Death(Role.WORKER, 0, timer=-2), False, id="a recycled worker"),
        pytest.param(Death(Role.WORKER, 0, timer=-1), False, id="a worker that was told to stop"),
        pytest.param(Death(Role.WORKER, 1, timer=-1), False, id="a worker that raised has given back its lock"),
        pytest.param(Death(Role.MONITOR, KILLED), True, id="the monitor"),
        pytest.param(Death(Role.MONITOR, 1), False, id="a monitor that raised"),
        pytest.param(Death(Role.PUSHER, KILLED), False, id="the pusher"),
        pytest.param(Death(Role.PUSHER, 0), False, id="a pusher that lost its broker"),
    ],
)
def test_a_death_ends_the_lane_only_where_it_may_hold_a_lock(death: Death, ends_the_lane: bool) -> None:
    assert bool(verdict(death)) is ends_the_lane


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
    flow = Flow(limit=22)
    said = [flow.is_stuck(waiting, last=last, now=now) for now, waiting, last in looks]
    assert said == [False] * (len(looks) - 1) + [stuck]


def test_without_a_supervisor_nothing_is_watched() -> None:
    watchdog.look(None, lambda: 1 // 0, running=True)
    assert watchdog.beat()
