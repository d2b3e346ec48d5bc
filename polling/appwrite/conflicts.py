"""The log of conflicts, which outlives the rows and the races that it is about."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime

from polling.appwrite.merge import Clash
from polling.models import SyncConflict, SyncState
from races.models import Race, day_of


def log(state: SyncState, clashes: Iterable[Clash], *, now: datetime, race: Race | None = None) -> None:
    """Keeps conflicts of a row, whose state is stored; without its race they are named by the base."""
    row = f"{race or _name_by_base(state)}, row {state.remote_id}"
    SyncConflict.objects.bulk_create(
        SyncConflict(state=state, row=row[:200], found_at=now, **{**asdict(clash), "chosen": clash.chosen.value})
        for clash in clashes
    )


def _name_by_base(state: SyncState) -> str:
    name = f"{state.base.get('track') or 'race'} R{state.base.get('race_number') or '?'}"
    try:
        return f"{name}, {day_of(date.fromisoformat(state.base.get('racing_day') or ''))}"
    except ValueError:  # no day, or what somebody wrote into its column
        return name
