"""One push of deletions: the rows of races that are gone from Django."""

import logging
from collections.abc import Sequence

from django.db import transaction

from polling.appwrite import checkpoints, conflicts, deletion_guard, sync_state
from polling.appwrite.api.errors import InvalidRequest, affects_every_row, counts_as_failure
from polling.appwrite.api.parallel import in_parallel
from polling.appwrite.api.rows import MOST_ROWS, Row, Rows
from polling.appwrite.lease import Lease
from polling.appwrite.merge import Clash, Side
from polling.appwrite.push.race_push import put_off
from polling.appwrite.push.races import Counts
from polling.appwrite.unread_edits import unseen_edits
from polling.errors import Conflict, NotFound, OutOfTime, PollingError
from polling.models import SyncState

logger = logging.getLogger(__name__)

Outcome = tuple[SyncState, Row | PollingError | None]


class GonePush:
    """Deletes rows batch by batch, each against the base it was last agreed on, while the lease is held."""

    def __init__(self, rows: Rows, lease: Lease, counts: Counts) -> None:
        self._rows, self._lease, self._counts = rows, lease, counts
        self._bases: dict[int, str] = {}  # as the states were read, by key

    def has_more(self) -> bool:
        """Whether a row is left behind, and may be deleted."""
        return sync_state.orphans(now=self._lease.now()).exists() and not checkpoints.are_deletions_held(
            sync_state.TABLE
        )

    def step(self) -> bool:
        """One batch; whether it was a full one. Raises what every other row would meet too, after noting it."""
        if not self._may_go():
            return False
        orphans = list(sync_state.orphans(now=self._lease.now())[:MOST_ROWS])
        self._bases = {state.pk: state.base_updated_at for state in orphans}
        # Never agreed on, nor tried: nobody has the row.
        self._forget([state for state in orphans if not (state.base_updated_at or state.sent)])
        known = self._unedited([state for state in orphans if state.base_updated_at or state.sent])
        outcomes = in_parallel(self._delete, known, has_time=self._rows.has_time)
        gone = [state for state, outcome in outcomes if isinstance(outcome, dict | NotFound)]
        self._forget(gone)
        self._counts.deleted += len(gone)
        self._spare([state for state, outcome in outcomes if isinstance(outcome, Conflict)])
        tried = sum(1 for _, outcome in outcomes if outcome is not None and not isinstance(outcome, OutOfTime))
        self._leave([pair for pair in outcomes if not isinstance(pair[1], dict | NotFound | Conflict)], of=tried)
        return len(orphans) == MOST_ROWS

    def _may_go(self) -> bool:
        """Whether no person must look first. Each row is counted once: a brake that is released lets it go."""
        if checkpoints.are_deletions_held(sync_state.TABLE):
            return False
        with transaction.atomic():
            why = deletion_guard.too_many_to_go(now=self._lease.now())
            if why:
                checkpoints.hold_deletions(sync_state.TABLE, why)
        return not why

    def _unedited(self, orphans: Sequence[SyncState]) -> list[SyncState]:
        """Those whose rows are there, and hold what was agreed on or sent, by a read of this moment.

        By their values: compare-and-set sees no edit that kept the row's `$updatedAt`. The others are dealt with here.
        """
        try:
            there = self._rows.by_id(state.remote_id for state in orphans)
        except OutOfTime:
            raise
        except PollingError as error:
            self._leave([(state, error) for state in orphans], of=len(orphans))
            raise
        gone = [state for state in orphans if state.remote_id not in there]
        self._forget(gone)
        self._counts.deleted += sum(bool(state.base_updated_at) for state in gone)
        found = [state for state in orphans if state.remote_id in there]
        edited = [state for state in found if unseen_edits(there[state.remote_id], state)]
        self._spare(edited)
        for state in found:
            state.base_updated_at = str(there[state.remote_id].get("$updatedAt") or "")
        return [state for state in found if state not in edited]

    def _delete(self, state: SyncState) -> Row:
        self._rows.delete(state.remote_id, base_updated_at=state.base_updated_at)
        return {}

    def _forget(self, gone: Sequence[SyncState]) -> None:
        sync_state.states().filter(pk__in=[state.pk for state in gone]).delete()

    def _spare(self, edited: Sequence[SyncState]) -> None:
        """An edit beats a deletion: the row stays, of nobody now, so that the sweep makes a race of it again."""
        policy = "deleted in Django, but edited in Appwrite: its race comes back"
        for state in edited:
            logger.warning("row %s was edited in Appwrite; its race, deleted here, will come back", state.remote_id)
            clash = Clash("$id", state.remote_id, None, state.remote_id, Side.REMOTE, policy)
            conflicts.log(state, [clash], now=self._lease.now())
        self._forget(edited)
        self._counts.merged += len(edited)

    def _leave(self, outcomes: Sequence[Outcome], *, of: int) -> None:
        """What failed waits; what is refused, or fails so often while others go, is given up."""
        failed = [(state, error) for state, error in outcomes if counts_as_failure(error)]
        all_fail = len(failed) == of
        trouble = [
            error
            for _, error in failed
            if affects_every_row(error) or (all_fail and not isinstance(error, InvalidRequest))
        ]
        own = not trouble
        for state, error in failed:
            state.base_updated_at = self._bases[state.pk]
            if isinstance(error, InvalidRequest) or (own and state.attempts + 1 >= sync_state.MOST_ATTEMPTS):
                if sync_state.bury(state, error, now=self._lease.now()):
                    logger.error("row %s cannot be deleted until a person acts: %s", state.remote_id, error)
                    self._counts.dead += 1
            else:
                put_off([state], error, now=self._lease.now(), own=own)
                self._counts.waiting += 1
        if trouble:
            raise trouble[0]
