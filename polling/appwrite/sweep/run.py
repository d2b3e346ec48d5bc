"""The full pass over Appwrite's rows: it finds deletions, back-dated writes, and what no pull has found."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from polling.appwrite import checkpoints, deletion_guard, row_compare, sync_state
from polling.appwrite.api.client import connect
from polling.appwrite.api.rows import MOST_ROWS, Row, Rows, batches
from polling.appwrite.lease import SWEEP, Lease
from polling.appwrite.pull import unmatched_rows
from polling.appwrite.pull.inbound import Inbound, Tally, describe
from polling.appwrite.push import logs as push_logs
from polling.appwrite.row_compare import PageDifferences, differs
from polling.appwrite.sweep import logs as sweep_logs
from polling.errors import Blocked, OutOfTime, PollingError
from polling.models import SyncState
from races.models import Race

BUDGET = timedelta(seconds=30)
PREVIEW_BUDGET = timedelta(minutes=2)
SECONDS_PER_STEP = 2.0
TEXTS_A_SWEEP = 300  # rows whose long texts one sweep looks at: some megabytes


@dataclass
class Swept(Tally):
    """What a sweep found. `rows` were looked at; `deleted` ones are recreated, or `deletion_guard` says why none is.

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
    """Compares every row in Appwrite with what is known of it and merges what differs; sends lost poll logs again.

    Raises nothing: `error` says what ended it early. `budget` is how long it may take; the next sweep goes on where
    this one ended. One sweep runs at a time. `now` is the instant of the run.
    """
    swept = Swept()
    note_outcome = partial(checkpoints.note_outcome, sync_state.TABLE, "the sweep of Appwrite", now=now, of_sweep=True)
    try:
        client = connect()
        if client is None:
            return swept
        lease = Lease(SWEEP, now=now)
        if not lease.take():
            return Swept(busy=True)
        rows = Rows.within(client, sync_state.TABLE, budget)
        try:
            _Sweep(rows, lease, swept, now=now).run()
            note_outcome(None)
            _sweep_logs(rows.of_table(push_logs.TABLE), swept, now=now)
        finally:
            lease.release()
    except OutOfTime:  # the next sweep goes on from there
        pass
    except PollingError as error:
        swept.error = error
        note_outcome(error)
    return swept


def preview(*, now: datetime, budget: timedelta = PREVIEW_BUDGET) -> list[str]:
    """What a sweep would do, one line per row, by the plans it carries out. Changes nothing. Raises PollingError."""
    client = connect()
    if client is None:
        raise Blocked("Appwrite is not configured")
    rows = Rows.within(client, sync_state.TABLE, budget)
    lines, deleted = [], list[SyncState]()
    for page in row_compare.pages(rows, after=""):
        lines += [describe(row, now=now) for row in page.unaddressable]
        for inbound, gone in _look_closer(rows, page.unknown, page.known):
            lines += [describe(row, state, now=now) for row, state in inbound]
            deleted += gone
    races = Race.objects.select_related("meeting").in_bulk([state.local_pk for state in deleted])
    lines += [f"row {state.remote_id} ({races[state.local_pk]}): deleted in Appwrite: recreated" for state in deleted]
    why = deletion_guard.excess(len(deleted))
    return [line for line in [*lines, why and f"waits for a person: {why}"] if line]


def _sweep_logs(rows: Rows, swept: Swept, *, now: datetime) -> None:
    """The table of poll logs may fail alone."""
    try:
        swept.logs = sweep_logs.run(rows, now=now)
    except OutOfTime:  # the next sweep goes on from there
        return
    except PollingError as error:
        swept.error = error
    what = "the sweep of poll logs in Appwrite"
    checkpoints.note_outcome(push_logs.TABLE, what, swept.error, now=now, of_sweep=True)


def _look_closer(
    rows: Rows, unknown: Sequence[str], known: Sequence[SyncState], *, need_time: Callable[[], None] = lambda: None
) -> Iterator[tuple[list[tuple[Row, SyncState | None]], list[SyncState]]]:
    """Reads rows whole, by the hundred: those to bring in, each with its state, and the states of those deleted.

    Changes nothing. The states were read before the rows are: a row that is older than its base was back-dated.
    """
    for some in batches(unknown, MOST_ROWS):
        need_time()
        yield [(row, None) for row in rows.by_id(some).values()], []
    for some in batches(known, MOST_ROWS):
        need_time()
        there = rows.by_id(state.remote_id for state in some)
        found = [(there[state.remote_id], state) for state in some if state.remote_id in there]
        gone = [state for state in some if state.remote_id not in there]
        yield [(row, state) for row, state in found if _needs_merge(row, state)], gone


def _needs_merge(row: Row, state: SyncState) -> bool:
    """Whether a row, read whole, is to be merged: under another form of its id, or back, or not as agreed on."""
    return row["$id"] != state.remote_id or state.remote_deleted_at is not None or differs(row, state)


class _NoTimeLeft(Exception):
    """The next sweep goes on from here."""


class _Sweep:
    """One sweep, page by page from where the last one was cut off."""

    def __init__(self, rows: Rows, lease: Lease, swept: Swept, *, now: datetime) -> None:
        self._rows, self._lease, self._swept, self._now = rows, lease, swept, now
        self._inbound = Inbound(swept, now=now)
        self._after, self._began_at = checkpoints.begin_sweep(sync_state.TABLE, now=now)
        self._unmatched: set[str] | None = None if self._after else set()  # all there are, by a sweep from the start
        self._recreated, self._is_new_generation = 0, False
        self._repairs = 0

    def run(self) -> None:
        """All pages, or as many as there is time for. What was merged counts, however it ends."""
        try:
            for page in row_compare.pages(self._rows, after=self._after):
                self._sweep_page(page)
            self._compare_texts()
        except _NoTimeLeft:
            pass
        finally:
            checkpoints.count(sync_state.TABLE, repairs=self._repairs + self._swept.deleted)

    def _sweep_page(self, page: PageDifferences) -> None:
        """Rows of a page that is done only in part are found equal the next time."""
        self._swept.rows += page.count
        self._recreated += page.recreated
        # A few were deleted and created again by hand, and are merged here.
        if self._recreated > deletion_guard.FEW and not self._is_new_generation:
            checkpoints.begin_table_generation(sync_state.TABLE)
            self._is_new_generation = True
        for row in page.unaddressable:
            self._inbound.bring_in(row)
        if self._unmatched is not None:
            self._unmatched |= {*page.unknown, *(row["$id"] for row in page.unaddressable)}
        self._mend_rows(page.unknown, page.known)
        if page.is_last:
            self._end_sweep()
        else:
            checkpoints.keep(sync_state.TABLE, sweep_after_id=page.last_id)
            self._need_time()

    def _need_time(self) -> None:
        if not (self._rows.has_time(SECONDS_PER_STEP) and self._lease.renew()):
            raise _NoTimeLeft

    def _mend_rows(self, unknown: Sequence[str], known: Sequence[SyncState]) -> None:
        for inbound, deleted in _look_closer(self._rows, unknown, known, need_time=self._need_time):
            for row, state in inbound:
                self._repairs += self._inbound.bring_in(row, state)
                if state and row["$id"] != state.remote_id:  # it stayed out as long as there might be two
                    unmatched_rows.forget(row["$id"])
            deletion_guard.note_deletions(deleted, now=self._now)

    def _end_sweep(self) -> None:
        """Acts on the deletions that were found, unless the deletion guard holds them."""
        is_held = checkpoints.are_deletions_held(sync_state.TABLE)
        if why := deletion_guard.excess_pending(since=None if is_held else self._began_at):
            checkpoints.hold_deletions(sync_state.TABLE, why)
        self._swept.deletion_guard = checkpoints.checkpoint_of(sync_state.TABLE).deletion_guard
        for some in batches([] if self._swept.deletion_guard else list(deletion_guard.pending_deletions()), MOST_ROWS):
            self._need_time()
            self._swept.deleted += sum(deletion_guard.request_recreation(state, now=self._now) for state in some)
        if self._unmatched is not None:
            unmatched_rows.forget_all_but(self._unmatched, found_before=self._began_at)
        checkpoints.end_sweep(sync_state.TABLE, now=self._now)
        self._swept.finished = True

    def _compare_texts(self) -> None:
        """Goes on where the last sweep ended, and begins again behind the last row."""
        self._need_time()
        after = checkpoints.checkpoint_of(sync_state.TABLE).texts_after_id
        differing, last = row_compare.differing_texts(self._rows, after=after, limit=TEXTS_A_SWEEP)
        self._mend_rows([], differing)
        checkpoints.keep(sync_state.TABLE, texts_after_id=last)
