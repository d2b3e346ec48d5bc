"""The heartbeat of the master tick: recorded by every tick that ends well; its absence is reported."""

import logging
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.conf import settings

from polling.cadence import floor
from polling.models import Heartbeat, Tick

logger = logging.getLogger(__name__)

# Two slots late, and half a step for the tick itself to end.
OVERDUE_STEPS = 2.5
SKIPPED_STEPS = 1.5  # an age of the last heartbeat from which on a slot had no tick
# A slot that was ticked late counts LATE, one on time takes 1 off; the alert begins at MOST and ends at 0. So four late
# slots in a row are an alert, and a single one is none.
LATE, MOST = 2, 8
NEVER = datetime.fromtimestamp(0, UTC)  # `at` of a row that keeps only this: it was reported that no tick ended well


class Condition(StrEnum):
    """How the ticks come, by their heartbeat: not yet, not any more, late slot after slot, or on time."""

    MISSING = "missing"
    OVERDUE = "overdue"
    LATE = "late"
    ON_TIME = "on time"


def overdue_after() -> timedelta:
    """The age of the last heartbeat from which on the tick is overdue."""
    return settings.POLL_TICK * OVERDUE_STEPS


def late_after() -> timedelta:
    """How long after its slot a tick must have ended; past it the tick counts as late."""
    return max(settings.POLL_TICK / 5, timedelta(seconds=2))


def late_score(score: int, *, late_slots: int) -> int:
    """The score after a tick, with as many slots that came late or had no tick; 0 where it came on time."""
    return min(score + LATE * late_slots, MOST) if late_slots else max(score - 1, 0)


def record(*, now: datetime, sleeping_until: datetime | None = None, ended_at: datetime | None = None) -> None:
    """Records that a tick has ended well, at `ended_at` (by default `now`); it was for the last slot before `now`.

    Reports the first tick after an alert, and when ticks begin and cease to come late time after time. One query while
    all is well.
    """
    current = {"at": now, "sleeping_until": sleeping_until}
    late_by = (ended_at or now) - floor(now, settings.POLL_TICK)
    is_late = late_by > late_after()
    newest = now - settings.POLL_TICK * SKIPPED_STEPS
    well = Heartbeat.objects.filter(pk=1, overdue_since__isnull=True, late_score=0, at__gt=newest)
    if not is_late and well.update(**current):
        return
    known, is_new = Heartbeat.objects.get_or_create(pk=1, defaults=current)
    if is_new:
        return
    pause = now - known.at
    was_skipped = settings.POLL_TICK * SKIPPED_STEPS <= pause <= overdue_after()
    score = late_score(known.late_score, late_slots=int(is_late) + int(was_skipped))
    Heartbeat.objects.filter(pk=1).update(**current, overdue_since=None, late_score=score)
    if known.overdue_since:
        after = "the first that ended well" if known.at == NEVER else f"after {pause} without one"
        logger.warning("the master tick is back, %s", after)
    _report_lateness(score, late_by=late_by, now=now)


def _report_lateness(score: int, *, late_by: timedelta, now: datetime) -> None:
    """Reports when ticks begin to come late and when they are on time again; of all hosts one does."""
    row = Heartbeat.objects.filter(pk=1)
    if score >= MOST and row.filter(late_since__isnull=True).update(late_since=now):
        seconds = late_by.total_seconds()
        logger.error("the master tick comes late, slot after slot: this one ended %.1f s after its slot", seconds)
    if score == 0:
        since = row.filter(late_since__isnull=False).values_list("late_since", flat=True).first()
        if since and row.filter(late_since=since).update(late_since=None):
            logger.warning("the master tick comes on time again, after %s of late ones", now - since)


def last() -> Heartbeat | None:
    """The last heartbeat; None where no tick ever ended well."""
    return Heartbeat.objects.filter(pk=1).exclude(at=NEVER).first()


def condition(newest: Heartbeat | None, *, limit: timedelta, now: datetime) -> Condition:
    """How ticks come, by the last heartbeat; `limit` is the age past which they are overdue."""
    if newest is None:
        return Condition.MISSING
    if now - newest.at > limit:
        return Condition.OVERDUE
    return Condition.LATE if newest.late_since else Condition.ON_TIME


def alert_if_overdue(*, now: datetime) -> bool:
    """Whether the tick is overdue; of all processes that notice it one logs it, at ERROR."""
    newest = last()
    if newest is None:
        return _alert_without_heartbeat(now=now)
    if condition(newest, limit=overdue_after(), now=now) is not Condition.OVERDUE:
        return False
    if Heartbeat.objects.filter(pk=1, at=newest.at, overdue_since__isnull=True).update(overdue_since=now):
        logger.error("the master tick is overdue: the last one ended at %s UTC", newest)
    return True


def _alert_without_heartbeat(*, now: datetime) -> bool:
    """The same where no tick ever ended well: overdue counts from the beginning of the first one."""
    first = Tick.objects.order_by("slot_at").first()
    if first is None or now - first.started_at <= overdue_after():
        return False
    _, is_first_report = Heartbeat.objects.get_or_create(pk=1, defaults={"at": NEVER, "overdue_since": now})
    if is_first_report:
        since = f"{first.started_at:%Y-%m-%d %H:%M:%S}"
        logger.error("the master tick is overdue: none has ended well since the first, at %s UTC", since)
    return True
