"""What became of the rows of one batch: counted, and each failure kept on its row as the failure policy says."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from polling.appwrite import sync_state
from polling.appwrite.api.rows import Rows
from polling.appwrite.checkpoints import level_of
from polling.appwrite.known_problems import is_known, is_news
from polling.appwrite.lease import Lease
from polling.appwrite.push.failure_policy import Response, UnmappableRow, after_row, wait_after
from polling.appwrite.schema.table_faults import TableRefuses
from polling.errors import OutOfTime, PollingError, error_text
from polling.models import SyncState

logger = logging.getLogger(__name__)

Result = Literal["created", "changed", "deleted", "expired", "unchanged", "merged"]


@dataclass
class Counts:
    """How many rows came to which end. `merged` had been changed in Appwrite too; `waiting` are tried again later.

    `expired` rows were removed because their races were, by age.
    """

    created: int = 0
    changed: int = 0
    deleted: int = 0
    expired: int = 0
    unchanged: int = 0
    merged: int = 0
    waiting: int = 0
    dead: int = 0


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a step did with one row: the `result`, and the `error` it failed with, which is noted on `state`.

    Neither where the row is left to another step. With a `version` the error is about that version of the race alone.
    """

    state: SyncState
    result: Result | None = None
    error: Exception | None = None
    version: int | None = None


class RowPush:
    """What the pushes of new and changed races, of deletions and of expired rows have in common."""

    def __init__(self, rows: Rows, lease: Lease, counts: Counts) -> None:
        self._rows, self._lease, self._counts = rows, lease, counts

    def _carry_out(self, batch: Sequence[SyncState], outcomes: Iterable[Outcome]) -> None:
        """Reads the outcomes of a batch, counts them, and notes what failed.

        batch: the states of all its rows.
        outcomes: does the work while it is read. Yields one outcome for each row that it is done with, and raises the
            PollingError that stops the push.
        That error is noted on all rows without an outcome, but for OutOfTime, and raised again. A table that refuses
        every row stops the push too, unless it took some.
        """
        found: list[Outcome] = []
        stop: PollingError | None = None
        try:
            for outcome in outcomes:
                found.append(outcome)
                if outcome.result:
                    setattr(self._counts, outcome.result, getattr(self._counts, outcome.result) + 1)
        except PollingError as error:
            stop = error
        if not any(outcome.result in ("created", "changed") for outcome in found):
            refusals = [outcome.error for outcome in found if isinstance(outcome.error, TableRefuses)]
            stop = stop or next((refusal for refusal in refusals if refusal.every_row), None)
        for reason, failed in groupby(found, key=lambda outcome: outcome.error):
            if reason:
                self._note_failures([*failed], reason)
        if stop and not isinstance(stop, OutOfTime):
            done = {outcome.state.local_pk for outcome in found}
            self._postpone_rows([state for state in batch if state.local_pk not in done], stop)
        if stop:
            raise stop

    def _note_failures(self, failed: Sequence[Outcome], error: Exception) -> None:
        """Of rows that failed with one error."""
        responses = [(outcome, after_row(error, attempts=outcome.state.attempts)) for outcome in failed]
        for outcome, response in responses:
            if response is Response.MARK_DEAD:
                self._mark_dead(outcome, error)
        waiting = [outcome.state for outcome, response in responses if response is not Response.MARK_DEAD]
        self._postpone_rows(waiting, error, own=not isinstance(error, TableRefuses))

    def _mark_dead(self, outcome: Outcome, error: Exception) -> None:
        """Gives a row up; one message at ERROR for one reason."""
        state = outcome.state
        level = logging.INFO if sync_state.is_given_up_for(error) else logging.ERROR
        if sync_state.mark_dead(state, error, now=self._lease.now(), version=outcome.version):
            cause = error.__cause__ if isinstance(error, UnmappableRow) else None
            logger.log(
                level,
                "race %d, row %s, cannot be pushed until a person acts: %s",
                state.local_pk,
                state.remote_id,
                error,
                exc_info=cause,
            )
            self._counts.dead += 1

    def _postpone_rows(self, waiting: Sequence[SyncState], error: Exception, *, own: bool = False) -> None:
        """Lets rows wait; logged once for as long as any row waits for the same, or for what will pass by itself."""
        if not waiting:
            return
        text = error_text(error)
        before = sync_state.failing().values_list("error", flat=True).first() or ""
        is_logged = not is_news(error, text, before=before) or is_known(text)
        level = logging.DEBUG if is_logged else level_of(error)
        logger.log(level, "%d rows wait to be pushed: %s: %s", len(waiting), type(error).__name__, error)
        wait = wait_after(error, max(state.attempts for state in waiting) + 1)
        sync_state.postpone(waiting, error, until=self._lease.now() + wait, own=own)
        self._counts.waiting += len(waiting)
