"""SIGKILL of every kind of process of the cluster, for real: polls resume, nothing is doubled, all of it ends."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from polling import clock
from tests.processes import environment, eventually, is_alive, manage
from tests.slow.clusters import TICK, Running, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

RESUMES_WITHIN = timedelta(seconds=30)
ENDS_WITHIN = 25
STEP = timedelta(seconds=15)  # of the product's tick: an outage shorter than this loses one tick at the most
VICTIMS = ("idle worker", "busy worker", "monitor", "pusher", "sentinel", "pool", "parent")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database."""
    var = tmp_path_factory.mktemp("template")
    done = manage(environment(var, POLL_TICK_SECONDS=str(TICK)), "migrate", "-v0")
    assert done.returncode == 0, done.stderr
    return var / "racepoll.sqlite3"


@pytest.fixture(params=["orm", "redis"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path, template: Path) -> Iterator[Running]:
    # With one worker an idle one surely holds the queue's lock, and a busy one is the one that polls.
    with running(request.param, tmp_path, template, POLL_WORKERS="1") as cluster:
        yield cluster


@pytest.mark.parametrize("victim", VICTIMS)
def test_polls_go_on_after_a_kill_and_none_is_doubled(
    cluster: Running, victim: str, record_property: Callable[[str, object], None]
) -> None:
    roles = cluster.roles()
    pid = {"parent": cluster.parent.pid, **roles}.get(victim) or roles["workers"][0]
    if victim == "busy worker":
        cluster.slow(4)
        eventually("a worker polls", lambda: cluster.polls("running"))
    else:
        eventually("nobody polls", lambda: not cluster.polls("running"))
    before, killed_at = cluster.processes(), clock.now()
    os.kill(pid, signal.SIGKILL)
    cluster.slow(0)
    if victim == "parent":
        cluster.parent.wait()
        eventually("all below it have ended", lambda: not any(map(is_alive, before)), seconds=ENDS_WITHIN)
        assert cluster.left() == []
        cluster.start()

    began = eventually("a slot is polled", lambda: cluster.answered(since=killed_at), seconds=60)

    pause = eventually("it ticks", lambda: cluster.longest_pause(since=killed_at))
    record_property("polled again after", str(began - killed_at))
    record_property("longest pause of ticks", str(pause))
    assert began - killed_at < RESUMES_WITHIN, cluster.output
    assert pause - timedelta(seconds=TICK) < STEP, cluster.output
    assert cluster.doubled() == []
    assert not is_alive(pid)
    _end(cluster, signal.SIGTERM)


def test_a_task_delivered_twice_and_late_polls_once(cluster: Running) -> None:
    send = (
        "from django_q.tasks import async_task; from polling.models import PollLog;"
        "[async_task('polling.tasks.poll_races', list(PollLog.objects.values_list('pk', flat=True)),"
        " q_options={'group': 'again'}) for _ in range(3)]"
    )
    done = manage(cluster.env, "shell", "-v0", "-c", send)
    assert done.returncode == 0, done.stderr
    count = "SELECT count(*) AS count FROM django_q_task WHERE \"group\" = 'again' AND success"
    eventually("the tasks have run", lambda: cluster.query(count)[0]["count"] == 3)
    assert cluster.doubled() == []


def test_a_worker_that_stands_still_with_the_lock_of_the_queue_is_replaced(cluster: Running) -> None:
    eventually("nobody polls", lambda: not cluster.polls("running"))
    [worker] = cluster.roles()["workers"]
    stopped_at = clock.now()
    os.kill(worker, signal.SIGSTOP)
    eventually("a slot is polled", lambda: cluster.answered(since=stopped_at), seconds=90)
    assert "no worker takes a task" in cluster.output
    assert not is_alive(worker)
    assert cluster.doubled() == []


def test_a_pusher_that_stands_still_is_replaced(
    cluster: Running, record_property: Callable[[str, object], None]
) -> None:
    pusher = cluster.roles()["pusher"]
    eventually("nobody polls", lambda: not cluster.polls("running"))
    stopped_at = clock.now()
    os.kill(pusher, signal.SIGSTOP)
    began = eventually("a slot is polled", lambda: cluster.answered(since=stopped_at), seconds=90)
    record_property("polled again after", str(began - stopped_at))
    assert "the pusher fetches nothing" in cluster.output
    assert began - stopped_at < RESUMES_WITHIN, cluster.output
    assert not is_alive(pusher)
    assert cluster.doubled() == []


@pytest.mark.parametrize("cluster", ["orm"], indirect=True)
def test_a_task_within_its_own_timeout_does_not_cost_the_only_worker_its_pool(cluster: Running) -> None:
    pool = cluster.roles()["pool"]
    send = (
        "from django_q.tasks import async_task;async_task('time.sleep', 30, q_options={'timeout': 40, 'group': 'long'})"
    )
    done = manage(cluster.env, "shell", "-v0", "-c", send)
    assert done.returncode == 0, done.stderr
    count = "SELECT count(*) AS count FROM django_q_task WHERE \"group\" = 'long' AND success"
    eventually("the task has run", lambda: cluster.query(count)[0]["count"] == 1, seconds=60)
    assert cluster.roles()["pool"] == pool
    assert "is started again" not in cluster.output


@pytest.mark.parametrize(("reach", "number"), [("parent", signal.SIGTERM), ("group", signal.SIGINT)])
def test_a_signal_ends_all_of_it_while_a_poll_waits_for_a_provider_that_hangs(
    cluster: Running, reach: str, number: signal.Signals
) -> None:
    cluster.roles()
    cluster.slow(60)
    since = clock.now()
    eventually("a poll waits", lambda: cluster.polls("running", since=since))
    _end(cluster, number, reach)


@pytest.mark.parametrize(
    ("reach", "number"),
    [
        ("parent", signal.SIGTERM),
        ("parent", signal.SIGINT),
        ("group", signal.SIGINT),
        ("everything", signal.SIGTERM),
        ("everything", signal.SIGINT),
    ],
)
@pytest.mark.parametrize("cluster", ["orm"], indirect=True)
def test_a_signal_ends_all_of_it(cluster: Running, reach: str, number: signal.Signals) -> None:
    cluster.roles()
    _end(cluster, number, reach)


@pytest.mark.parametrize("victim", ["workers", "sentinel", "pool"])
@pytest.mark.parametrize("cluster", ["orm"], indirect=True)
def test_it_ends_even_with_some_of_it_killed_before(cluster: Running, victim: str) -> None:
    roles = cluster.roles()
    for pid in [roles[victim]] if victim != "workers" else roles["workers"]:
        os.kill(pid, signal.SIGKILL)
    _end(cluster, signal.SIGTERM)


@pytest.mark.parametrize("broker", ["orm", "redis"])
def test_a_race_about_to_start_has_a_pool_of_its_own(broker: str, tmp_path: Path, template: Path) -> None:
    with running(broker, tmp_path, template, POLL_WORKERS="1", POLL_FAST_WORKERS="1") as cluster:
        pools = {name: cluster.roles(name) for name in ("default", "fast")}
        assert pools["default"]["pool"] != pools["fast"]["pool"]
        # The default pool stands still; what is polled then is polled by the other.
        eventually("nobody polls", lambda: not cluster.polls("running"))
        since = clock.now()
        for worker in pools["default"]["workers"]:
            os.kill(worker, signal.SIGSTOP)
        eventually("an urgent race is polled", lambda: cluster.answered(since=since), seconds=40)
        os.kill(pools["fast"]["sentinel"], signal.SIGKILL)
        eventually("the pool is started again", lambda: cluster.roles("fast")["pool"] != pools["fast"]["pool"])
        assert cluster.doubled() == []
        _end(cluster, signal.SIGTERM)


def _end(cluster: Running, number: signal.Signals, reach: str = "parent") -> None:
    """Ends it by a signal to the parent, to its group or to every process of it; nothing may be left."""
    before = cluster.processes()
    if reach == "everything":
        for pid in before:
            os.kill(pid, number)
    elif reach == "group":
        os.killpg(cluster.parent.pid, number)
    else:
        os.kill(cluster.parent.pid, number)
    assert cluster.parent.wait(ENDS_WITHIN) == 0, cluster.output
    assert [pid for pid in before if is_alive(pid)] == []
    assert cluster.left() == []
