"""What changed in Appwrite, brought into Django."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from polling.appwrite import mapping, sync_state
from polling.appwrite.api.client import connect
from polling.appwrite.api.rows import MOST_ROWS, ListPosition, Page, Row, Rows, batches, is_addressable
from polling.appwrite.checkpoints import checkpoint_of, count, existing, move, note_outcome
from polling.appwrite.pull import unmatched_rows
from polling.appwrite.pull.inbound import Arrivals, Tally, foresee
from polling.appwrite.row_compare import differs
from polling.errors import Blocked, OutOfTime, PollingError
from polling.models import SyncCheckpoint

# With the push's, within the timeout of a task.
BUDGET = timedelta(seconds=8)
PATIENCE = timedelta(minutes=2)
# `$updatedAt` is taken before the row's lock and its commit, so a row can appear behind what was read already.
OVERLAP = timedelta(seconds=20)
# A key may stamp a row with any instant: one from the future must not carry the checkpoint along.
MOST_AHEAD = timedelta(minutes=1)
SECONDS_A_PAGE = 1.0
FETCH_SECONDS = 3.0  # that fetching what a page lists may last beyond the deadline
LAST_ID = "~"  # sorts behind all ids


class Pulled(Tally):
    """What a pull found, in rows."""


def run(*, now: datetime, budget: timedelta = BUDGET) -> Pulled:
    """Reads what changed since the last pull and merges it; nothing changed costs one read and no write."""
    pulled = Pulled()
    return _counted(pulled, budget, lambda rows: _Pull(rows, pulled, now=now).all_pages(), now=now)


def run_for(row_ids: Iterable[str], *, now: datetime, budget: timedelta = BUDGET) -> Pulled:
    """Reads just these rows and merges them; the checkpoint stays. What is no id, or of no row, is passed over."""
    pulled = Pulled()
    arrivals = Arrivals(pulled, now=now)
    wanted = sorted({row_id for row_id in row_ids if is_addressable(row_id)})

    def meet_all(rows: Rows) -> None:
        for some in batches(wanted, MOST_ROWS):
            # The bases first: a row that is read after them is never older, whatever its stamp says.
            known = {state.remote_id: state for state in sync_state.states().filter(remote_id__in=some)}
            for row_id, row in rows.by_id(some).items():
                state = known.get(row_id)
                if state is None or differs(row, state):
                    arrivals.meet(row, known=state)

    return _counted(pulled, budget, meet_all, now=now)


def preview(*, now: datetime, budget: timedelta = PATIENCE) -> list[str]:
    """What a pull would do, a line for each row. Changes nothing. Raises PollingError."""
    client = connect()
    if client is None:
        raise Blocked("Appwrite is not configured")
    rows, words = Rows.within(client, sync_state.TABLE, budget), []
    checkpoint = existing(sync_state.TABLE) or SyncCheckpoint()
    for page in _pages(rows, checkpoint):
        unmet = _unmet(page.rows)
        whole = rows.by_id(row["$id"] for row in unmet if is_addressable(row["$id"]))
        words += [foresee(whole.get(row["$id"], row), now=now) for row in unmet]
    return [line for line in words if line]


def _counted(pulled: Pulled, budget: timedelta, work: Callable[[Rows], None], *, now: datetime) -> Pulled:
    """Its trouble goes into the counts, and the edges of it onto the checkpoint."""
    try:
        client = connect()
        if client is None:
            return pulled
        work(Rows.within(client, sync_state.TABLE, budget))
    except OutOfTime:  # the checkpoint stands at what was read; the next pull goes on from there
        pass
    except PollingError as error:
        pulled.error = error
    note_outcome(checkpoint_of(sync_state.TABLE), "the pull from Appwrite", pulled.error, now=now)
    return pulled


def _pages(rows: Rows, checkpoint: SyncCheckpoint) -> Iterator[Page]:
    """What changed, page by page, while there is time."""
    place: ListPosition | None = _start(checkpoint)
    while place is not None and rows.has_time(SECONDS_A_PAGE):
        page = rows.changed_since(place)
        yield page
        place = None if page.is_last else _place(page.rows[-1])


class _Pull:
    """One pull: all of a pass over what changed, or the rest of one, or a part of it."""

    def __init__(self, rows: Rows, pulled: Pulled, *, now: datetime) -> None:
        self._rows, self._now = rows, now
        self._checkpoint = checkpoint_of(sync_state.TABLE)
        self._arrivals = Arrivals(pulled, now=now)
        self._known_to = ListPosition(self._checkpoint.updated_at, self._checkpoint.row_id or LAST_ID)
        self._furthest = self._checkpoint.updated_at
        self._pass_began_at = self._checkpoint.pass_began_at if _is_under_way(self._checkpoint) else None

    def all_pages(self) -> None:
        for page in _pages(self._rows, self._checkpoint):
            if self._pass_began_at is None:
                self._pass_began_at = _text(page.server_time) or self._checkpoint.updated_at
            # In hundreds, so that no transaction holds the database for long.
            for some in batches(page.rows, MOST_ROWS):
                if not (
                    self._rows.has_time(SECONDS_A_PAGE) and self._apply(some, told_at=page.server_time or self._now)
                ):
                    return
            if page.is_last:
                self._end(self._pass_began_at, limit=_text((page.server_time or self._now) + MOST_AHEAD))

    def _apply(self, listed: Sequence[Row], *, told_at: datetime) -> bool:
        """The rows, fetched whole, each in a transaction of its own; then the checkpoint. Whether to go on.

        A row met twice changes nothing, so one that is committed before a kill costs only another look. One
        transaction for all would hold locks of many races, in another order than the pollers take them.
        """
        unmet = {row["$id"]: row for row in _unmet(listed)}
        overlap_hits = 0
        patient = self._rows.extended_by(FETCH_SECONDS)
        for row_id, row in patient.by_id(filter(is_addressable, unmet)).items():
            merged = self._arrivals.meet(row)
            overlap_hits += merged and not self._is_news(unmet[row_id])
        for row_id, row in unmet.items():
            if not is_addressable(row_id):
                self._arrivals.refuse(row)
        echoes = sum(row["$id"] not in unmet and self._is_news(row) for row in listed)
        count(self._checkpoint, echoes=echoes, overlap_hits=overlap_hits)
        return self._move(listed, limit=_text(told_at + MOST_AHEAD))

    def _is_news(self, row: Row) -> bool:
        """Whether the row lies ahead of what was read before this pull."""
        return _kept(row) > self._known_to

    def _move(self, listed: Sequence[Row], *, limit: str) -> bool:
        """So that a pull which is cut off is resumed right here, were it behind what was read before it."""
        places = [_kept(row) for row in listed]
        self._furthest = max([self._furthest, *(place.updated_at for place in places if place.updated_at <= limit)])
        here = next((place for place in reversed(places) if place.updated_at and place.row_id), None)
        began_at = self._pass_began_at or ""
        return here is None or move(self._checkpoint, here, pass_began_at=began_at, now=self._now)

    def _end(self, began_at: str, *, limit: str) -> None:
        """The next pass begins behind the beginning of this one, however much was written meanwhile.

        Our clock, or the last row, bounds the server's: its Date may be a proxy's, ahead of those who stamp rows.
        """
        furthest = min(self._furthest, limit)  # a pass may have been cut off at a row from the future
        began_at = min(began_at, max(furthest, _text(self._now)))
        move(self._checkpoint, ListPosition(furthest), pass_began_at=began_at, now=self._now)


def _is_under_way(checkpoint: SyncCheckpoint) -> bool:
    """Whether the last pull was cut off: a pass that reached its end leaves no row to go on behind."""
    return bool(checkpoint.row_id)


def _start(checkpoint: SyncCheckpoint) -> ListPosition:
    """Where to begin: where a pass was cut off; else behind the last one, because of rows that were committed late."""
    if _is_under_way(checkpoint):
        return ListPosition(checkpoint.updated_at, checkpoint.row_id)
    if not checkpoint.pass_began_at:
        return ListPosition()
    return ListPosition(_text(datetime.fromisoformat(checkpoint.pass_began_at) - OVERLAP))


def _text(moment: datetime | None) -> str:
    return mapping.instant(moment) or ""


def _place(row: Row) -> ListPosition:
    return ListPosition(str(row.get("$updatedAt") or ""), row["$id"])


def _kept(row: Row) -> ListPosition:
    """The row's place as a checkpoint can keep it."""
    try:
        updated_at = mapping.instant(row.get("$updatedAt")) or ""
    except ValueError:
        updated_at = ""
    return ListPosition(updated_at, row["$id"] if is_addressable(row["$id"]) else "")


def _unmet(listed: Sequence[Row]) -> list[Row]:
    """Rows that changed since we last agreed on them, or looked why they stay out: no echo, none met already."""
    fit = [row["$id"] for row in listed if is_addressable(row["$id"])]
    bases = dict(sync_state.states().filter(remote_id__in=fit).values_list("remote_id", "base_updated_at"))
    looked_at = unmatched_rows.seen(row["$id"] for row in listed if row["$id"] not in bases)
    return [
        row
        for row in listed
        if (
            _place(row).updated_at > bases[row["$id"]]
            if row["$id"] in bases
            else _place(row).updated_at != looked_at.get(unmatched_rows.key_of(row["$id"]))
        )
    ]
