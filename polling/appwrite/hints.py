"""Rows that Appwrite's webhook told of and that wait to be looked at; one pull takes all of them.

A hint leaves a mark of its row before it asks for a pull, and the pull takes the marks before it reads: none is lost,
and a burst costs few pulls, over any number of processes.
"""

from datetime import datetime

from django.conf import settings
from django.db.models import F

from polling.appwrite import states
from polling.appwrite.webhook import Hint
from polling.models import SyncLease, SyncServer

MARK = "row "  # before the id, in the name of a lease that nobody holds; it leaves room for the longest id


def note(hint: Hint, *, now: datetime) -> bool:
    """Keeps a hint; whether its row is to be looked at. An echo of what we know of the row is only counted."""
    _count(now)
    if not hint.deleted and _is_known(hint):
        return False
    SyncLease.objects.bulk_create([SyncLease(table=MARK + hint.row_id)], ignore_conflicts=True)
    return True


def take() -> list[str]:
    """The ids of the rows that wait; they are the caller's now, who must read them after this."""
    marks = dict(SyncLease.objects.filter(table__startswith=MARK).values_list("pk", "table"))
    SyncLease.objects.filter(pk__in=marks).delete()
    return [name.removeprefix(MARK) for name in marks.values()]


def _count(now: datetime) -> None:
    server = SyncServer.objects.filter(target=settings.APPWRITE_TARGET)
    if not server.update(hints=F("hints") + 1, hinted_at=now):
        SyncServer.objects.get_or_create(target=settings.APPWRITE_TARGET, defaults={"hints": 1, "hinted_at": now})


def _is_known(hint: Hint) -> bool:
    same = states.states().filter(remote_id=hint.row_id, base_updated_at=hint.updated_at)
    return bool(hint.updated_at) and same.exists()
