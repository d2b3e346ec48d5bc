"""A cluster whose processes are killed at random: which slots that cost, and whether any was polled twice."""

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from subprocess import Popen

from bench.cluster import every
from bench.figures import Bar, Figure
from bench.near import bring_near, in_groups
from bench.provider import provider
from bench.stage import Stage, stop
from bench.tree import descendants
from polling import clock
from polling.cadence import floor
from polling.models import Heartbeat, PollLog, Tick
from polling.planning import cadence
from races.models import Race
from tests.processes import eventually, start

SEED = 11
RACES = 8
RESTART_SECONDS = 2  # what systemd waits, by docs/deployment.md


def run(stage: Stage) -> Iterator[Figure]:
    """A SIGKILL every 5 to 15 s to any process below `manage.py qcluster`, which is started again if it ends."""
    lasting, now = min(stage.lasting(260), 270), clock.now()
    starts = in_groups(now + timedelta(seconds=lasting + 40), groups=1, each=RACES, apart=timedelta())
    with provider(delay_ms=200) as source:
        races = bring_near(source, starts, now=now)
        since, killed, restarts = _live(stage, lasting)
        until = floor(clock.now() - timedelta(seconds=10), cadence().tick)
        requests = [entry for entry in source.requests() if entry["race_id"] in races]
    arrived = Counter((entry["race_id"], floor(entry["at"], cadence().tick)) for entry in requests)
    slots = [(race_id, slot) for race_id, race in races.items() for slot in _slots(race, since, until)]
    lost = [key for key in slots if not arrived[key]]
    at = {race_id: [e["at"] for e in requests if e["race_id"] == race_id] for race_id in races}
    details = {
        "seconds": lasting, "seed": SEED, "killed": len(killed), "cluster_restarts": restarts,
        "longest_gap_between_ticks_s": round(_longest_gap(_ticks(since, until), since, until), 1),
        "ticks": len(_ticks(since, until)),
        "logs": dict(Counter(PollLog.objects.values_list("state", flat=True))),
    }  # fmt: skip
    doubled = sum(count - 1 for count in arrived.values() if count > 1)
    yield Figure("requests_doubled", doubled, "requests", Bar("=", 0), len(slots), details=details)
    yield Figure("slots_lost", len(lost), "slots", None, len(slots))
    gap = max((_longest_gap(times, since, until) for times in at.values()), default=0.0)
    yield Figure("longest_gap", gap, "s", None, len(races))


def _live(stage: Stage, seconds: float) -> tuple[datetime, list[int], int]:
    """Kills for so long. Returns the first slot that counts, who was killed, and how often the command ended."""
    random, killed, restarts = Random(SEED), list[int](), 0
    process = _started(stage)
    try:
        eventually("the cluster ticks", lambda: Heartbeat.objects.exists(), seconds=60)
        since, next_kill = floor(clock.now(), cadence().tick) + cadence().tick, random.uniform(5, 15)
        for passed in every(0.2, lasting=seconds):
            if process.poll() is not None:
                _end_session(process)
                time.sleep(RESTART_SECONDS)
                process, restarts = _started(stage), restarts + 1
            if passed >= next_kill and (pids := descendants(process.pid)):
                killed.append(_kill(random.choice(pids)))
                next_kill = passed + random.uniform(5, 15)
    finally:
        stop(process)
    return since, killed, restarts


def _started(stage: Stage) -> Popen[str]:
    return start(dict(os.environ), stage.var / "cluster.txt", "qcluster")


def _kill(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return pid


def _end_session(process: Popen[str]) -> None:
    """What systemd does with what is left of a unit whose main process ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _slots(race: Race, since: datetime, until: datetime) -> list[datetime]:
    opens = cadence().anchor(race.advertised_start) - timedelta(minutes=5)
    until = min(until, cadence().anchor(race.advertised_start))
    return cadence().between(race.advertised_start, since=max(since, opens), until=until)


def _ticks(since: datetime, until: datetime) -> list[datetime]:
    ticks = Tick.objects.filter(slot_at__gte=since, slot_at__lt=until).order_by("slot_at")
    return list(ticks.values_list("started_at", flat=True))


def _longest_gap(instants: list[datetime], since: datetime, until: datetime) -> float:
    inside = sorted(at for at in instants if since <= at < until)
    return max((later - earlier).total_seconds() for earlier, later in pairwise([since, *inside, until]))
