"""The log of conflicts, which outlives the rows and the races that it tells of."""

from collections.abc import Iterable
from datetime import datetime

from polling.appwrite.merge import Clash
from polling.models import SyncConflict, SyncState
from races.models import Race


def log(state: SyncState, clashes: Iterable[Clash], *, now: datetime, race: Race | None = None) -> None:
    """Keeps conflicts of a row, by its state as it is stored; without its race they are named by the base."""
    row = f"{race or _named(state)}, row {state.remote_id}"
    SyncConflict.objects.bulk_create(
        SyncConflict(
            state=state,
            row=row[:200],
            field=clash.field,
            base=clash.base,
            local=clash.local,
            remote=clash.remote,
            chosen=clash.chosen.value,
            policy=clash.policy,
            found_at=now,
        )
        for clash in clashes
    )


def _named(state: SyncState) -> str:
    return f"{state.base.get('track') or 'race'} {state.base.get('race_number') or '?'}"
