"""Polling as it runs, on a clock that the test drives: real ticks, the tasks that they queued, real pollers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django_q.models import OrmQ

from polling import pollers, tick
from polling.models import PollLog, PollState
from races.models import Race

if TYPE_CHECKING:  # whose fixture makes a driver
    from tests.polling.conftest import ProviderBox

STEP = timedelta(seconds=15)
TICK_LATE, TASK_LATE = timedelta(milliseconds=40), timedelta(milliseconds=60)
ANSWERED_IN = timedelta(milliseconds=300)


@dataclass
class Driver:
    """Ticks and works off the queue as a cluster does, with the provider's clock beside ours."""

    provider: ProviderBox

    def tick(self, slot: datetime) -> None:
        """One tick and the polls it sent."""
        self.provider.now[0] = slot + TASK_LATE
        tick.run(now=slot + TICK_LATE)
        self.work(slot + TASK_LATE)

    def work(self, now: datetime) -> None:
        """All polls that lie in the queue, one after the other; pushes to Appwrite are another worker's."""
        for task in OrmQ.objects.order_by("pk"):
            if task.func() == "polling.tasks.push":
                continue
            [claimed] = task.args()
            task.delete()
            ids = claimed if isinstance(claimed, list) else [claimed]
            pollers.run(ids, now=now, finished=lambda: now + ANSWERED_IN)

    def drive(self, since: datetime, until: datetime) -> None:
        """Every tick from `since` to `until`, both of them included."""
        for slot in ticks(since, until):
            self.tick(slot)

    def drive_due(self, until: datetime) -> list[datetime]:
        """The ticks at which something is due, up to `until`; returns them. Those between do nothing."""
        ticked: list[datetime] = []
        while (due_at := next_due()) and due_at <= until:
            assert not ticked or due_at > ticked[-1], f"planned for {due_at}, which has been ticked"
            self.tick(due_at)
            ticked.append(due_at)
        return ticked


def ticks(since: datetime, until: datetime) -> Iterator[datetime]:
    """The slots of the master tick."""
    while since <= until:
        yield since
        since += STEP


def next_due() -> datetime | None:
    """When the next poll of any race is planned."""
    planned = Race.objects.filter(next_poll_at__isnull=False).order_by("next_poll_at")
    return planned.values_list("next_poll_at", flat=True).first()


def polled(race: Race, *states: PollState) -> list[datetime]:
    """The slots of the race's log in these states, by default those that were answered; oldest first."""
    wanted = [state.value for state in states or (PollState.OK,)]
    return list(
        PollLog.objects.filter(race=race, state__in=wanted).order_by("slot_at").values_list("slot_at", flat=True)
    )
