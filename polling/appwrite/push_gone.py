"""One push of deletions: the rows of races that are gone from Django."""

import logging
from collections.abc import Sequence

from polling.appwrite import states
from polling.appwrite.jobs import is_of_all, put_off
from polling.appwrite.lease import Lease
from polling.appwrite.parallel import in_parallel
from polling.appwrite.push_races import SECONDS_A_CALL, Counts
from polling.appwrite.rows import MOST_ROWS, Row, Rows
from polling.errors import Conflict, NotFound, PollingError
from polling.models import SyncState

logger = logging.getLogger(__name__)

Outcome = tuple[SyncState, Row | PollingError | None]


class GonePush:
    """Deletes rows batch by batch, each against the base it was last agreed on, while the lease is held."""

    def __init__(self, rows: Rows, lease: Lease, counts: Counts) -> None:
        self._rows, self._lease, self._counts = rows, lease, counts

    def has_more(self) -> bool:
        """Whether a row is left behind."""
        return states.orphans(now=self._lease.now()).exists()

    def step(self) -> bool:
        """One batch; whether it was a full one. Raises what every other row would meet too, after noting it."""
        orphans = list(states.orphans(now=self._lease.now())[:MOST_ROWS])
        # Never agreed on: if it was made all the same, the pull meets it as a row of nobody.
        self._forget([state for state in orphans if not state.base_updated_at])
        known = [state for state in orphans if state.base_updated_at]
        outcomes = in_parallel(self._delete, known, has_time=lambda: self._rows.has_time(SECONDS_A_CALL))
        gone = [state for state, outcome in outcomes if isinstance(outcome, dict | NotFound)]
        self._forget(gone)
        self._counts.deleted += len(gone)
        self._spare([state for state, outcome in outcomes if isinstance(outcome, Conflict)])
        self._leave([pair for pair in outcomes if not isinstance(pair[1], dict | NotFound | Conflict)])
        return len(orphans) == MOST_ROWS

    def _delete(self, state: SyncState) -> Row:
        self._rows.delete(state.remote_id, base_updated_at=state.base_updated_at)
        return {}

    def _forget(self, gone: Sequence[SyncState]) -> None:
        states.states().filter(pk__in=[state.pk for state in gone]).delete()

    def _spare(self, edited: Sequence[SyncState]) -> None:
        """An edit beats a deletion: the row stays, of nobody now, so that the sweep makes a race of it again."""
        for state in edited:
            logger.warning("row %s was edited in Appwrite; its race, deleted here, will come back", state.remote_id)
        self._forget(edited)
        self._counts.merged += len(edited)

    def _leave(self, outcomes: Sequence[Outcome]) -> None:
        failed = [(state, error) for state, error in outcomes if isinstance(error, PollingError)]
        for state, error in failed:
            put_off([state], error, now=self._lease.now(), own=not is_of_all(error))
        self._counts.waiting += len(failed)
        if of_all := [error for _, error in failed if is_of_all(error)]:
            raise of_all[0]
