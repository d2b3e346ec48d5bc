"""Clusters whose processes are killed at random: which slots that cost, and whether any was polled twice."""

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from subprocess import Popen

from bench.catalog import MACHINES
from bench.cluster import every
from bench.figures import Bar, Figure
from bench.near_races import bring_near, in_groups, last_five_minutes_slots
from bench.process_tree import descendants
from bench.processes import kill_leftovers, stop
from bench.provider import provider
from bench.run_options import RunOptions
from polling import clock
from polling.cadence import floor
from polling.models import Heartbeat, PollLog, Tick
from polling.planning import default_cadence
from tests.processes import eventually, start

SEED = 11
RACES = 8
RESTART_SECONDS = 2  # what systemd waits, by docs/deployment.md


def run(options: RunOptions) -> Iterator[Figure]:
    """A SIGKILL every 5 to 15 s to any process below a `manage.py qcluster`, which is started again if it ends.

    With PostgreSQL there are two on one database, as two machines run them.
    """
    lasting, now = min(options.lasting(260), 270), clock.now()
    starts = in_groups(now + timedelta(seconds=lasting + 40), groups=1, each=RACES, apart=timedelta())
    with provider(delay_ms=200) as source:
        races = bring_near(source, starts, now=now)
        homes = [options.var, options.var / "second"] if options.stack == MACHINES else [options.var]
        clusters = [Cluster(var) for var in homes]
        since, killed = _kill_at_random(clusters, lasting)
        until = floor(clock.now() - timedelta(seconds=10), default_cadence().tick)
        requests = [entry for entry in source.requests() if entry["race_id"] in races]
    arrived = Counter((entry["race_id"], floor(entry["at"], default_cadence().tick)) for entry in requests)
    slots = [(race_id, slot) for race_id, race in races.items() for slot in last_five_minutes_slots(race, since, until)]
    lost = [key for key in slots if not arrived[key]]
    at = {race_id: [e["at"] for e in requests if e["race_id"] == race_id] for race_id in races}
    details = {
        "seconds": lasting, "seed": SEED, "clusters": len(clusters), "killed": len(killed),
        "cluster_restarts": [cluster.restarts for cluster in clusters],
        "longest_gap_between_ticks_s": round(_longest_gap(_tick_starts(since, until), since, until), 1),
        "ticks": len(_tick_starts(since, until)),
        "logs": dict(Counter(PollLog.objects.values_list("state", flat=True))),
    }  # fmt: skip
    doubled = sum(count - 1 for count in arrived.values() if count > 1)
    why = "" if killed else "nothing was killed"
    yield Figure("requests_doubled", doubled, "requests", Bar("=", 0), arrived.total(), why=why, details=details)
    yield Figure("slots_lost", len(lost), "slots", None, len(slots))
    gap = max((_longest_gap(times, since, until) for times in at.values()), default=0.0)
    yield Figure("longest_gap", gap, "s", None, len(races))


@dataclass
class Cluster:
    """`manage.py qcluster` in its home, started again if it ends."""

    var: Path
    restarts: int = 0
    process: Popen[str] = field(init=False)

    def start(self) -> None:
        self.process = start({**os.environ, "RACEPOLL_VAR": str(self.var)}, self.var / "cluster.txt", "qcluster")

    def restart_if_ended(self) -> None:
        if self.process.poll() is not None:
            # What systemd does with what is left of a unit whose main process ended.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            time.sleep(RESTART_SECONDS)
            self.start()
            self.restarts += 1

    def end(self) -> None:
        stop(self.process)


def _kill_at_random(clusters: list[Cluster], seconds: float) -> tuple[datetime, list[int]]:
    """Kills for so long. Returns the first slot that counts, and the processes that were killed."""
    random, killed = Random(SEED), list[int]()
    with contextlib.ExitStack() as ends:
        for cluster in clusters[1:]:
            cluster.var.mkdir()
            ends.callback(
                kill_leftovers, cluster.var
            )  # the first home is that of the bench itself, which is cleared at its end
        for cluster in clusters:
            cluster.start()
            ends.callback(cluster.end)
        eventually("all run", lambda: all(descendants(cluster.process.pid) for cluster in clusters), seconds=60)
        eventually("one ticks", lambda: Heartbeat.objects.exists(), seconds=60)
        since, next_kill = floor(clock.now(), default_cadence().tick) + default_cadence().tick, random.uniform(5, 15)
        for passed in every(0.2, lasting=seconds):
            for cluster in clusters:
                cluster.restart_if_ended()
            pids = [pid for cluster in clusters for pid in descendants(cluster.process.pid)]
            if passed >= next_kill and pids:
                killed.append(random.choice(pids))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(killed[-1], signal.SIGKILL)
                next_kill = passed + random.uniform(5, 15)
    return since, killed


def _tick_starts(since: datetime, until: datetime) -> list[datetime]:
    ticks = Tick.objects.filter(slot_at__gte=since, slot_at__lt=until).order_by("slot_at")
    return list(ticks.values_list("started_at", flat=True))


def _longest_gap(instants: list[datetime], since: datetime, until: datetime) -> float:
    inside = sorted(at for at in instants if since <= at < until)
    return max((later - earlier).total_seconds() for earlier, later in pairwise([since, *inside, until]))
