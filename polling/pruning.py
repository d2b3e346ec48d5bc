"""Retention: ticks, poll logs and odds are diagnostics, not archives."""

from datetime import datetime, timedelta

from polling.models import PollLog, Tick
from polling.models.poll_log import KEEP_LOGS
from races.models import OddsChange

KEEP_TICKS = timedelta(days=2)
KEEP_ODDS = timedelta(days=30)


def prune(*, now: datetime) -> None:
    """Deletes what is older than its keep; poll logs of a race still open are young by nature."""
    Tick.objects.filter(slot_at__lt=now - KEEP_TICKS).delete()
    PollLog.objects.filter(slot_at__lt=now - KEEP_LOGS).delete()
    OddsChange.objects.filter(observed_at__lt=now - KEEP_ODDS).delete()
