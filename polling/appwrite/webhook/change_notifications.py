"""Rows that Appwrite's webhook told of and that wait to be looked at; one pull takes all of them.

A hint is kept before it asks for a pull, and the pull takes all that are kept before it reads: none is lost, and a
burst costs few pulls, over any number of processes.
"""

from datetime import datetime

from django.conf import settings
from django.db.models import F

from polling.appwrite import mapping, sync_state
from polling.appwrite.webhook.calls import Hint
from polling.models import SyncHint, SyncServer, SyncState


def note(hint: Hint, *, now: datetime) -> bool:
    """Keeps a hint; whether its row is to be looked at. An echo, or a deletion, which the sweep finds, only counts."""
    _count(now)
    if hint.deleted or _is_known(hint):
        return False
    SyncHint.objects.bulk_create([SyncHint(target=settings.APPWRITE_TARGET, row_id=hint.row_id)], ignore_conflicts=True)
    return True


def take() -> list[str]:
    """The ids of the rows that wait; they are the caller's now, who must read them after this."""
    waiting = dict(SyncHint.objects.filter(target=settings.APPWRITE_TARGET).values_list("pk", "row_id"))
    SyncHint.objects.filter(pk__in=waiting).delete()
    return list(waiting.values())


def _count(now: datetime) -> None:
    server = SyncServer.objects.filter(target=settings.APPWRITE_TARGET)
    if not server.update(hints=F("hints") + 1, hinted_at=now):
        SyncServer.objects.get_or_create(target=settings.APPWRITE_TARGET, defaults={"hints": 1, "hinted_at": now})


def _is_known(hint: Hint) -> bool:
    state = sync_state.states().filter(remote_id=hint.row_id).first()
    if state is None:
        return False
    return bool(hint.updated_at) and (_is_agreed(hint, state) or _is_ours(hint, state))


def _is_agreed(hint: Hint, state: SyncState) -> bool:
    """Whether the call tells of the row as it was agreed on: by its content too, as an edit may keep `$updatedAt`."""
    if hint.updated_at != state.base_updated_at:
        return False
    told = [name for name in mapping.RACE_FIELDS if name in hint.row]
    base = mapping.complete(state.base)
    return all(mapping.readable(mapping.RACE_FIELDS[name], hint.row[name]) == base[name] for name in told)


def _is_ours(hint: Hint, state: SyncState) -> bool:
    """Whether the call tells of a write of ours: one whose reply is not stored yet, or one before the last.

    An edit made in Appwrite keeps `sync_version`, so that alone would hide it.
    """
    try:
        remote, base = mapping.read(hint.row), mapping.complete(state.base)
    except ValueError:
        return False
    if any(remote.values == {**base, **write} for write in state.sent or ()):
        return True
    version, agreed = remote.values["sync_version"] or 0, base["sync_version"] or 0
    return version < agreed and remote.updated_at < state.base_updated_at
