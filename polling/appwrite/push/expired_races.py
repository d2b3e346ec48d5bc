"""Rows leave Appwrite by the same age as their races leave Django, and that is no deletion by anybody.

The interface for the retention of races, which knows nothing else of Appwrite:

    with transaction.atomic():
        expire_races(race_ids, now=now)
        ...  # delete these races, with whatever belongs to them

`expire_races` marks what is known of the races' rows. From the commit on the pushes remove the marked rows from
Appwrite, up to a hundred with two calls, and then drop the marks. Until a row has gone, pull and sweep know it by its
mark and make no race of it. The deletion guard counts no marked row, on either side, and holds none back.

An edit made in Appwrite that no pull has seen before its row is removed is kept as a conflict. Rows of poll logs need
no mark: `push_logs` removes them by their own age.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from polling.appwrite import conflicts, sync_state
from polling.appwrite.api.errors import affects_every_row
from polling.appwrite.api.rows import MOST_ROWS, Row, is_addressable
from polling.appwrite.merge import OWNERS, Clash, Owner, Side
from polling.appwrite.push.outcomes import Outcome, RowPush
from polling.appwrite.unread_edits import unread_edits
from polling.errors import OutOfTime, PollingError
from polling.models import SyncState
from races.models import Race

NOT_TAKEN = "its race had left by age: the edit was not taken"
NO_EDITS = {Owner.TRAVELS, Owner.APPWRITE}


def expire_races(race_ids: Collection[int], *, now: datetime) -> None:
    """Marks the rows of these races as leaving by age; call it in the transaction that deletes the races.

    One UPDATE, over all Appwrite projects that were ever configured. What was given up is tried again. Idempotent.
    """
    rows = SyncState.objects.filter(table=sync_state.TABLE, local_pk__in=list(race_ids), expired_at=None)
    rows.update(expired_at=now, **sync_state.NO_FAILURE)


def expired(*, now: datetime, waiting: bool = False) -> QuerySet[SyncState]:
    """The marked rows whose races are gone, oldest mark first; with `waiting` also those whose next try is to come."""
    marked = sync_state.states().filter(~Exists(Race.objects.filter(pk=OuterRef("local_pk"))), expired_at__isnull=False)
    ready = marked if waiting else marked.exclude(next_try_at__gt=now)
    return ready.order_by("expired_at", "pk")


class ExpiredRaces(RowPush):
    """Removes the rows of expired races, a hundred in a step, while the lease is held."""

    def has_more(self) -> bool:
        """Whether the row of an expired race may still be there."""
        return expired(now=self._lease.now()).exists()

    def step(self) -> bool:
        """Removes a batch; whether it was a full one. Raises the PollingError that stops the push, after noting it."""
        batch = list(expired(now=self._lease.now())[:MOST_ROWS])
        try:
            self._carry_out(batch, self._remove_rows(batch))
        except OutOfTime:
            raise
        except PollingError as error:  # noted on the rows, which wait; what is fresh must not wait for them
            if affects_every_row(error):
                raise
            return False
        return len(batch) == MOST_ROWS

    def _remove_rows(self, batch: Sequence[SyncState]) -> Iterator[Outcome]:
        written = [state for state in batch if state.base_updated_at or state.sent]
        there = self._rows.by_id(state.remote_id for state in written)
        self._log_edits(written, there)
        leaving = [row["$id"] for row in there.values() if is_addressable(row["$id"])]
        if leaving:
            self._rows.delete_many(leaving)
        sync_state.states().filter(pk__in=[state.pk for state in batch]).delete()
        yield from (Outcome(state, "expired") for state in batch)

    def _log_edits(self, written: Sequence[SyncState], there: Mapping[str, Row]) -> None:
        """Before the rows go, and once: what is logged becomes the base, should the removal fail."""
        for state in written:
            row = there.get(state.remote_id)
            unseen = unread_edits(row, state) if row else {}
            edits = [
                Clash(field, before, before, after, Side.LOCAL, NOT_TAKEN)
                for field, (before, after) in unseen.items()
                if OWNERS.get(field) not in NO_EDITS
            ]
            if edits:
                with transaction.atomic():
                    conflicts.log(state, edits, now=self._lease.now())
                    state.base = {**state.base, **{edit.field: edit.remote for edit in edits}}
                    sync_state.save([state], ["base"])
