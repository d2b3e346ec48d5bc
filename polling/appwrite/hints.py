"""Rows that Appwrite's webhook told of and that wait to be looked at: one pull takes all of them.

A hint leaves a mark of its row, then asks for a pull unless one is on its way; that pull first says that it is not
any more, then takes the marks, then reads. So none is lost, and a burst costs few pulls, over any number of processes.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q

from polling.appwrite import states
from polling.appwrite.webhook import Hint
from polling.models import SyncLease, SyncServer

# Both marks are leases, which nobody holds: the names leave room for the longest id.
ROW = "row "
ON_ITS_WAY = "hinted pull"
# A pull that was not begun by then is taken for lost by the queue.
LOST_AFTER = timedelta(seconds=5)


def note(hint: Hint, *, now: datetime) -> bool:
    """Keeps a hint; whether a pull must be asked for. An echo of what we know of the row is only counted."""
    _count(now)
    if not hint.deleted and _is_known(hint):
        return False
    marks = [SyncLease(table=ROW + hint.row_id), SyncLease(table=ON_ITS_WAY)]
    SyncLease.objects.bulk_create(marks, ignore_conflicts=True)
    free = Q(held_until__isnull=True) | Q(held_until__lte=now)
    return bool(SyncLease.objects.filter(free, table=ON_ITS_WAY).update(held_until=now + LOST_AFTER))


def take() -> list[str]:
    """The ids of the rows that wait; they are the caller's now, who must read them after this."""
    SyncLease.objects.filter(table=ON_ITS_WAY).update(held_until=None)
    marks = dict(SyncLease.objects.filter(table__startswith=ROW).values_list("pk", "table"))
    SyncLease.objects.filter(pk__in=marks).delete()
    return [name.removeprefix(ROW) for name in marks.values()]


def _count(now: datetime) -> None:
    server = SyncServer.objects.filter(target=settings.APPWRITE_TARGET)
    if not server.update(hints=F("hints") + 1, hinted_at=now):
        SyncServer.objects.get_or_create(target=settings.APPWRITE_TARGET, defaults={"hints": 1, "hinted_at": now})


def _is_known(hint: Hint) -> bool:
    same = states.states().filter(remote_id=hint.row_id, base_updated_at=hint.updated_at)
    return bool(hint.updated_at) and same.exists()
