"""The push of deletions: rows whose races were deleted from Django."""

import logging
from collections.abc import Iterator, Sequence

from django.db import transaction

from polling.appwrite import checkpoints, conflicts, deletion_guard, sync_state
from polling.appwrite.api.errors import InvalidRequest
from polling.appwrite.api.parallel import in_parallel
from polling.appwrite.api.rows import MOST_ROWS
from polling.appwrite.merge import Clash, Side
from polling.appwrite.push.failure_policy import failed_rows
from polling.appwrite.push.outcomes import Outcome, RowPush
from polling.appwrite.unread_edits import unread_edits
from polling.errors import Conflict, NotFound, OutOfTime
from polling.models import SyncState

logger = logging.getLogger(__name__)

EDITED = "deleted in Django, but edited in Appwrite: its race comes back"


class DeletedRaces(RowPush):
    """Deletes rows, a hundred in a step, each against the base it was last agreed on, while the lease is held."""

    def has_more(self) -> bool:
        """Whether a row is left behind, and may be deleted."""
        is_held = checkpoints.are_deletions_held(sync_state.TABLE)
        return not is_held and sync_state.orphans(now=self._lease.now()).exists()

    def step(self) -> bool:
        """Deletes a batch; whether it was a full one. Raises the PollingError that stops the push, after noting it.

        Deletes nothing while the deletion guard is on.
        """
        now = self._lease.now()
        if checkpoints.are_deletions_held(sync_state.TABLE):
            return False
        with transaction.atomic():
            if why := deletion_guard.excess_to_delete(now=now):
                checkpoints.hold_deletions(sync_state.TABLE, why)
                return False
        sync_state.orphans(now=now).filter(deletion_guard.NEVER_WRITTEN).delete()
        batch = list(deletion_guard.rows_to_delete(now=now)[:MOST_ROWS])
        self._carry_out(batch, self._delete_rows(batch))
        return len(batch) == MOST_ROWS

    def _delete_rows(self, batch: Sequence[SyncState]) -> Iterator[Outcome]:
        """Deletes those that hold what was agreed on or sent, by a read of this moment.

        By their values: compare-and-set sees no edit that kept the row's `$updatedAt`.
        """
        there = self._rows.by_id(state.remote_id for state in batch)
        found = [state for state in batch if state.remote_id in there]
        missing = [state for state in batch if state.remote_id not in there]
        edited = [state for state in found if unread_edits(there[state.remote_id], state)]

        def delete_row(state: SyncState) -> bool:
            updated_at = str(there[state.remote_id].get("$updatedAt") or "")
            self._rows.delete(state.remote_id, base_updated_at=updated_at)
            return True

        _forget_rows(missing)
        yield from (Outcome(state, "deleted" if state.base_updated_at else None) for state in missing)
        yield from self._keep_edited_rows(edited)
        answers = in_parallel(delete_row, [s for s in found if s not in edited], has_time=self._rows.has_time)
        gone = [state for state, answer in answers if answer is True or isinstance(answer, NotFound)]
        _forget_rows(gone)
        yield from (Outcome(state, "deleted") for state in gone)
        yield from self._keep_edited_rows([state for state, answer in answers if isinstance(answer, Conflict)])
        yield from (Outcome(state, error=error) for state, error in answers if isinstance(error, InvalidRequest))
        yield from (Outcome(state) for state, answer in answers if answer is None or isinstance(answer, OutOfTime))
        yield from (Outcome(state, error=error) for state, error in failed_rows(answers))

    def _keep_edited_rows(self, edited: Sequence[SyncState]) -> Iterator[Outcome]:
        """An edit wins over a deletion: the row stays, of nobody now, so that the sweep makes a race of it again."""
        for state in edited:
            logger.warning("row %s was edited in Appwrite; its race, deleted here, will come back", state.remote_id)
            clash = Clash("$id", state.remote_id, None, state.remote_id, Side.REMOTE, EDITED)
            conflicts.log(state, [clash], now=self._lease.now())
        _forget_rows(edited)
        yield from (Outcome(state, "merged") for state in edited)


def _forget_rows(gone: Sequence[SyncState]) -> None:
    sync_state.states().filter(pk__in=[state.pk for state in gone]).delete()
