"""What somebody changed in a row that no pull has seen yet. Pure."""

from typing import Any

from polling.appwrite import mapping
from polling.appwrite.api.rows import Row
from polling.appwrite.merge import landed
from polling.models import SyncState


def unread_edits(row: Row, state: SyncState) -> dict[str, tuple[Any, Any]]:
    """The fields of a row, read whole, that differ from what was agreed on, each with its value before and now.

    A write of ours whose reply was lost is no edit. A row that cannot be read at all differs by its `$id`.
    """
    base = mapping.complete(state.base)
    try:
        remote = mapping.read(row).filled(base).values
    except ValueError:
        return {"$id": (None, state.remote_id)}
    base |= landed(base, state.sent or (), remote)
    return {field: (base[field], value) for field, value in remote.items() if value != base[field]}
