"""The full pass over Appwrite's rows: it finds deletions, back-dated writes, and what no pull has met."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from polling.appwrite import checkpoints, deletion_guard, row_compare, sync_state
from polling.appwrite.api.client import connect
from polling.appwrite.api.rows import MOST_ROWS, Row, Rows, batches
from polling.appwrite.lease import SWEEP, Lease
from polling.appwrite.pull import unmatched_rows
from polling.appwrite.pull.inbound import Arrivals, Tally, foresee
from polling.appwrite.push import logs as push_logs
from polling.appwrite.row_compare import Differences, differs
from polling.appwrite.sweep import logs as sweep_logs
from polling.errors import Blocked, OutOfTime, PollingError
from polling.models import SyncState
from races.models import Race

BUDGET = timedelta(seconds=30)
PATIENCE = timedelta(minutes=2)
SECONDS_PER_STEP = 2.0
TEXTS_A_SWEEP = 300  # rows whose long texts one sweep looks at: some megabytes


@dataclass
class Swept(Tally):
    """What a sweep found. `rows` were looked at; `deleted` ones are made again, or `deletion_guard` says why none is.

    Not `finished`: the next one goes on from there. `busy`: another one is under way. `logs` are poll logs that were
    gone and are sent again.
    """

    rows: int = 0
    deleted: int = 0
    logs: int = 0
    finished: bool = False
    busy: bool = False
    deletion_guard: str = ""


def run(*, now: datetime, budget: timedelta = BUDGET) -> Swept:
    """Compares every row with what is known of it and mends what differs, for as long as `budget`; resumable."""
    swept = Swept()
    try:
        client = connect()
        if client is None:
            return swept
        lease = Lease(SWEEP, now=now)
        if not lease.take():
            return Swept(busy=True)
        rows = Rows.within(client, sync_state.TABLE, budget)
        logs = rows.of_table(push_logs.TABLE)
        try:
            _Sweep(rows, lease, swept, now=now).run()
            _note(sync_state.TABLE, "the sweep of Appwrite", None, now=now)
            swept.logs = _sweep_logs(logs, swept, now=now)
        finally:
            lease.release()
    except OutOfTime:  # not finished; the next one goes on from there
        return swept
    except PollingError as error:
        swept.error = error
        _note(sync_state.TABLE, "the sweep of Appwrite", error, now=now)
    return swept


def _sweep_logs(rows: Rows, swept: "Swept", *, now: datetime) -> int:
    """The logs' table may be in trouble alone."""
    found = 0
    try:
        found = sweep_logs.run(rows, now=now)
    except OutOfTime:  # not finished; the next one goes on from there
        return found
    except PollingError as error:
        swept.error = error
    _note(push_logs.TABLE, "the sweep of poll logs in Appwrite", swept.error, now=now)
    return found


def _note(table: str, what: str, error: PollingError | None, *, now: datetime) -> None:
    """Pulls and pushes may go well meanwhile, or have said it already."""
    checkpoint = checkpoints.checkpoint_of(table)
    if not (error and checkpoint.error):
        checkpoints.note_outcome(checkpoint, what, error, now=now, of_sweep=True)


class _Sweep:
    """One sweep, page by page from where the last one was cut off."""

    def __init__(self, rows: Rows, lease: Lease, swept: Swept, *, now: datetime) -> None:
        self._rows, self._lease, self._swept, self._now = rows, lease, swept, now
        self._arrivals = Arrivals(swept, now=now)
        self._after, self._began_at = checkpoints.begin_sweep(sync_state.TABLE, now=now)
        self._stays_out: set[str] | None = None if self._after else set()
        self._made_anew, self._is_recreated = 0, False
        self._repairs = 0

    def run(self) -> None:
        """All pages, or as many as there is time for. What was mended counts, however it ends."""
        try:
            self._all_pages()
        finally:
            if repairs := self._repairs + self._swept.deleted:
                checkpoints.count_repairs(sync_state.TABLE, repairs)

    def _all_pages(self) -> None:
        for found in row_compare.pages(self._rows, after=self._after):
            self._swept.rows += found.count
            self._made_anew += found.made_anew
            # A few were made by hand, and are merged here.
            if self._made_anew > deletion_guard.FEW and not self._is_recreated:
                checkpoints.begin_table_generation(sync_state.TABLE)
                self._is_recreated = True
            if not self._mend(found):
                return
            if found.is_last_page:
                self._end()
            else:
                checkpoints.keep_sweep(sync_state.TABLE, found.last)
                if not self._has_time():
                    return

    def _has_time(self) -> bool:
        return self._rows.has_time(SECONDS_PER_STEP) and self._lease.renew()

    def _mend(self, found: Differences) -> bool:
        """Whether the whole page was done; rows that were done already are found equal the next time."""
        for row in found.refused:
            self._arrivals.refuse(row)
        if self._stays_out is not None:
            self._stays_out |= {*found.unknown, *(row["$id"] for row in found.refused)}
        return self._bring(found.unknown) and self._look_closer([*found.differing, *found.unseen])

    def _bring(self, row_ids: Sequence[str]) -> bool:
        for some in batches(row_ids, MOST_ROWS):
            if not self._has_time():
                return False
            for row in self._rows.by_id(some).values():
                self._repairs += self._arrivals.meet(row)
        return True

    def _look_closer(self, known: Sequence[SyncState]) -> bool:
        """The states were read before the rows are: a row that is older than its base was back-dated."""
        for some in batches(known, MOST_ROWS):
            if not self._has_time():
                return False
            rows = self._rows.by_id(state.remote_id for state in some)
            for state in some:
                if (row := rows.get(state.remote_id)) and wants_merge(row, state):
                    self._repairs += self._arrivals.meet(row, known=state)
                    if row["$id"] != state.remote_id:  # it stayed out as long as there might be two
                        unmatched_rows.forget(row["$id"])
            deletion_guard.find([state for state in some if state.remote_id not in rows], now=self._now)
        return True

    def _end(self) -> None:
        are_deletions_held = checkpoints.are_deletions_held(sync_state.TABLE)
        if why := deletion_guard.too_many(since=None if are_deletions_held else self._began_at):
            checkpoints.hold_deletions(sync_state.TABLE, why)
        self._swept.deletion_guard = checkpoints.checkpoint_of(sync_state.TABLE).deletion_guard
        for some in batches([] if self._swept.deletion_guard else list(deletion_guard.pending()), MOST_ROWS):
            if not self._has_time():
                return
            self._swept.deleted += sum(self._make_again(state) for state in some)
        if self._stays_out is not None:
            unmatched_rows.forget_all_but(self._stays_out, found_before=self._began_at)
        checkpoints.end_sweep(sync_state.TABLE, now=self._now)
        self._swept.finished = True
        self._look_at_texts()

    def _look_at_texts(self) -> None:
        """Goes on where the last sweep ended, and begins again behind the last row."""
        if not self._has_time():
            return
        after = checkpoints.checkpoint_of(sync_state.TABLE).texts_after_id
        differing, last = row_compare.differing_texts(self._rows, after=after, limit=TEXTS_A_SWEEP)
        if self._look_closer(differing):
            checkpoints.keep_texts(sync_state.TABLE, last)

    def _make_again(self, state: SyncState) -> bool:
        found = deletion_guard.pending().filter(pk=state.pk)
        return deletion_guard.make_again(found, base_updated_at=state.base_updated_at, now=self._now)


def wants_merge(row: Row, state: SyncState) -> bool:
    """Whether a row, read whole, is to be met: under another spelling of its id, or back, or not as agreed on."""
    return row["$id"] != state.remote_id or state.remote_deleted_at is not None or differs(row, state)


# --- in words, for a dry run ------------------------------------------------------------------------------------------


def preview(*, now: datetime, budget: timedelta = PATIENCE) -> list[str]:
    """What a sweep would do, a line for each row. Changes nothing. Raises PollingError."""
    client = connect()
    if client is None:
        raise Blocked("Appwrite is not configured")
    rows = Rows.within(client, sync_state.TABLE, budget)
    merged, deleted = [], []
    for found in row_compare.pages(rows, after=""):
        merged += [foresee(row, now=now) for row in [*found.refused, *rows.by_id(found.unknown).values()]]
        known = [*found.differing, *found.unseen]
        there = rows.by_id(state.remote_id for state in known)
        races = Race.objects.select_related("meeting").in_bulk([state.local_pk for state in known])
        for state in known:
            if (row := there.get(state.remote_id)) is None:
                deleted.append(f"row {state.remote_id} ({races[state.local_pk]}): deleted in Appwrite: made again")
            elif wants_merge(row, state):
                merged.append(foresee(row, now=now, known=state))
    why = deletion_guard.beyond_the_limit(len(deleted))
    return [line for line in [*merged, *deleted, why and f"waits for a person: {why}"] if line]
