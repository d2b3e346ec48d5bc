"""Rows that Appwrite's webhook reported and that wait to be looked at; one pull takes all of them.

A notification is kept before it asks for a pull, and the pull takes all that are kept before it reads: none is lost,
and a burst costs few pulls, over any number of processes.
"""

from datetime import datetime

from django.conf import settings
from django.db.models import F

from polling.appwrite import mapping, sync_state
from polling.appwrite.row_compare import content_differs
from polling.appwrite.webhook.calls import RowChange
from polling.models import ChangeNotification, SyncServer, SyncState


def note(change: RowChange, *, now: datetime) -> bool:
    """Keeps a change; whether its row is to be looked at. An echo, or a deletion, which a sweep finds, only counts."""
    server = SyncServer.objects.filter(target=settings.APPWRITE_TARGET)
    if not server.update(notifications=F("notifications") + 1, notified_at=now):
        first = {"notifications": 1, "notified_at": now}
        SyncServer.objects.get_or_create(target=settings.APPWRITE_TARGET, defaults=first)
    state = sync_state.states().filter(remote_id=change.row_id).first()
    if change.deleted:
        return False
    if state and change.updated_at and (_is_agreed(change, state) or _is_our_write(change, state)):
        return False
    waiting = ChangeNotification(target=settings.APPWRITE_TARGET, row_id=change.row_id)
    ChangeNotification.objects.bulk_create([waiting], ignore_conflicts=True)
    return True


def take() -> list[str]:
    """The ids of the rows that wait; they are the caller's now, who must read them after this."""
    waiting = dict(ChangeNotification.objects.filter(target=settings.APPWRITE_TARGET).values_list("pk", "row_id"))
    ChangeNotification.objects.filter(pk__in=waiting).delete()
    return list(waiting.values())


def _is_agreed(change: RowChange, state: SyncState) -> bool:
    """Whether the row is as it was agreed on: by its content too, as an edit may keep `$updatedAt`."""
    reported = [name for name in mapping.RACE_FIELDS if name in change.row]
    return change.updated_at == state.base_updated_at and not content_differs(change.row, state, reported)


def _is_our_write(change: RowChange, state: SyncState) -> bool:
    """Whether a write of ours made the change: one whose reply is not stored yet, or one before the last.

    An edit made in Appwrite keeps `sync_version`, so that alone would hide it.
    """
    try:
        remote, base = mapping.read(change.row), mapping.complete(state.base)
    except ValueError:
        return False
    if any(remote.values == {**base, **write} for write in state.sent or ()):
        return True
    version, agreed = remote.values["sync_version"] or 0, base["sync_version"] or 0
    return version < agreed and remote.updated_at < state.base_updated_at
