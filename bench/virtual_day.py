"""A virtual clock over the real tick and pollers: what the cluster does in a day, done in minutes.

The queue is drained in this process at instants a little after the slot; the provider's clock follows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random

from django_q.models import OrmQ

from bench.provider import Provider
from polling import importing, pollers, tick
from polling.models import Tick
from polling.planning import default_cadence
from polling.tick import NoTick

QUEUED = timedelta(milliseconds=200)  # from the tick to the worker


@dataclass
class VirtualDay:
    """`jitter_seconds` is how late a tick may be; an answer takes 0.4 to 0.8 s until it is stored."""

    provider: Provider
    random: Random
    jitter_seconds: float = 1.0
    ticked: list[datetime] = field(default_factory=list)

    def step(self, slot: datetime) -> datetime:
        """One slot: the tick, what it queued; every five minutes the import. Returns when the tick was."""
        now = slot + timedelta(seconds=self.random.uniform(0, self.jitter_seconds))
        self.ticked.append(now)
        done = tick.run(now=now)
        if error := done.error if isinstance(done, Tick) else done is NoTick.TAKEN and done:
            raise AssertionError(f"the tick at {now} failed: {error}")
        self._run_queued(now + QUEUED)
        if slot.minute % 5 == 0 and slot.second == 0:
            self.import_card(slot + timedelta(seconds=5))
        return now

    def import_card(self, now: datetime) -> None:
        self.provider.set_clock(now)
        importing.import_schedule("sandbox", now=now, deadline_seconds=60)

    def answered(self, now: datetime) -> datetime:
        """When the answer to a poll begun at `now` is stored."""
        return now + timedelta(seconds=self.random.uniform(0.4, 0.8))

    def _run_queued(self, now: datetime) -> None:
        """Runs what is queued as the tasks of polling.tasks do, but at `now`."""
        for row in OrmQ.objects.order_by("pk"):
            logs = row.args()[0]
            self.provider.set_clock(now)
            pollers.run(logs if isinstance(logs, list) else [logs], now=now, finished=partial(self.answered, now))
            row.delete()


def slots(since: datetime, until: datetime) -> Iterator[datetime]:
    """Every slot of the tick from `since` on, before `until`."""
    while since < until:
        yield since
        since += default_cadence().tick
