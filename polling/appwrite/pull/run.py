"""What changed in Appwrite, brought into Django."""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from polling.appwrite import mapping, sync_state
from polling.appwrite.api.client import connect
from polling.appwrite.api.rows import MOST_ROWS, ListPosition, Row, Rows, batches, is_addressable
from polling.appwrite.checkpoints import checkpoint_of, count, existing, move, note_outcome
from polling.appwrite.pull import unmatched_rows
from polling.appwrite.pull.inbound import Inbound, Tally, describe
from polling.appwrite.row_compare import differs
from polling.errors import Blocked, OutOfTime, PollingError
from polling.models import SyncCheckpoint

# With the push's, within the timeout of a task.
BUDGET = timedelta(seconds=8)
PREVIEW_BUDGET = timedelta(minutes=2)
# `$updatedAt` is taken before the row's lock and its commit, so a row can appear behind what was read already.
OVERLAP = timedelta(seconds=20)
# A key may stamp a row with any instant: one from the future must not carry the checkpoint along.
MOST_AHEAD = timedelta(minutes=1)
SECONDS_A_PAGE = 1.0
FETCH_SECONDS = 3.0  # that fetching what a page lists may last beyond the deadline
LAST_ID = "~"  # sorts behind all ids


class Pulled(Tally):
    """What a pull found, in rows."""


def run(*, now: datetime, row_ids: Iterable[str] | None = None, budget: timedelta = BUDGET) -> Pulled:
    """Merges what changed in Appwrite into Django. Raises nothing: `error` says what ended it early.

    `row_ids` are the only rows to read, such as a webhook has reported; the checkpoint stays, and what is no id, or
    has no row, is skipped. Without them it reads all that changed since the last pull, by Appwrite's clock and with a
    look back; the checkpoint moves with every hundred rows. Nothing changed costs one read and no write.
    `budget` is how long it may take; what is left then is the next pull's. `now` is the instant of the run.
    """
    pulled = Pulled()
    try:
        client = connect()
        if client is None:
            return pulled
        rows, inbound = Rows.within(client, sync_state.TABLE, budget), Inbound(pulled, now=now)
        if row_ids is None:
            _Pass(rows, inbound, now=now).run()
        else:
            _pull_rows(rows, inbound, row_ids)
    except OutOfTime:  # the checkpoint stands at what was read; the next pull goes on from there
        pass
    except PollingError as error:
        pulled.error = error
    note_outcome(sync_state.TABLE, "the pull from Appwrite", pulled.error, now=now)
    return pulled


def preview(*, now: datetime, budget: timedelta = PREVIEW_BUDGET) -> list[str]:
    """What a pull would do, one line per row, by the plans it carries out. Changes nothing. Raises PollingError."""
    client = connect()
    if client is None:
        raise Blocked("Appwrite is not configured")
    checkpoint = existing(sync_state.TABLE) or SyncCheckpoint()
    parts = _changed_rows(Rows.within(client, sync_state.TABLE, budget), checkpoint)
    return [line for part in parts for row in part.new.values() if (line := describe(row, now=now))]


def _pull_rows(rows: Rows, inbound: Inbound, row_ids: Iterable[str]) -> None:
    for some in batches(sorted(set(filter(is_addressable, row_ids))), MOST_ROWS):
        # The bases first: a row that is read after them is never older, whatever its stamp says.
        known = {state.remote_id: state for state in sync_state.states().filter(remote_id__in=some)}
        for row_id, row in rows.by_id(some).items():
            state = known.get(row_id)
            if state is None or differs(row, state):
                inbound.bring_in(row, state)


@dataclass(frozen=True, slots=True)
class _ChangedRows:
    """Part of a page of what changed, by the rows' ids: all as `listed`, the `known` as they stand, the `new` ones.

    New rows are whole, but for those that no single call can name.
    """

    listed: Mapping[str, Row]
    known: Set[str]
    new: Mapping[str, Row]
    server_time: datetime | None
    ends_pass: bool


def _changed_rows(rows: Rows, checkpoint: SyncCheckpoint) -> Iterator[_ChangedRows]:
    """What changed since the checkpoint, by the hundred, while there is time. Reads, and changes nothing.

    A pass that was cut off is resumed where it ended; else it begins behind the last one, as rows are committed late.
    """
    position = ListPosition()
    if _is_under_way(checkpoint):
        position = ListPosition(checkpoint.updated_at, checkpoint.row_id)
    elif checkpoint.pass_began_at:
        position = ListPosition(_instant_text(datetime.fromisoformat(checkpoint.pass_began_at) - OVERLAP))
    while rows.has_time(SECONDS_A_PAGE):
        page = rows.changed_since(position)
        # In hundreds, so that no transaction holds the database for long. An empty page ends the pass too.
        parts = list(batches(page.rows, MOST_ROWS)) or [[]]
        for number, part in enumerate(parts, start=1):
            if part and not rows.has_time(SECONDS_A_PAGE):
                return
            listed = {row["$id"]: row for row in part}
            ids = _new_ids(listed)
            whole = rows.extended_by(FETCH_SECONDS).by_id(filter(is_addressable, ids))
            whole |= {row_id: listed[row_id] for row_id in ids if not is_addressable(row_id)}
            new = {row_id: whole[row_id] for row_id in ids if row_id in whole}
            ends_pass = page.is_last and number == len(parts)
            yield _ChangedRows(listed, listed.keys() - ids, new, page.server_time, ends_pass)
        if page.is_last:
            return
        position = ListPosition(str(page.rows[-1].get("$updatedAt") or ""), page.rows[-1]["$id"])


class _Pass:
    """A pass over what changed: all of it, the rest of one that was cut off, or a part of it."""

    def __init__(self, rows: Rows, inbound: Inbound, *, now: datetime) -> None:
        self._rows, self._inbound, self._now = rows, inbound, now
        self._checkpoint = checkpoint_of(sync_state.TABLE)
        self._known_to = ListPosition(self._checkpoint.updated_at, self._checkpoint.row_id or LAST_ID)
        self._furthest = self._checkpoint.updated_at
        self._began_at = self._checkpoint.pass_began_at if _is_under_way(self._checkpoint) else None

    def run(self) -> None:
        """Brings in what changed, each row in a transaction of its own; after each part the checkpoint moves.

        A row found twice changes nothing, so one that is committed before a kill costs only another look. One
        transaction for all would hold locks of many races, in another order than the pollers take them.
        """
        for part in _changed_rows(self._rows, self._checkpoint):
            if self._began_at is None:
                self._began_at = _instant_text(part.server_time) or self._checkpoint.updated_at
            limit = _instant_text((part.server_time or self._now) + MOST_AHEAD)
            ahead = {row_id for row_id, row in part.listed.items() if _kept_position(row) > self._known_to}
            merged = {row_id for row_id, row in part.new.items() if self._inbound.bring_in(row)}
            count(sync_state.TABLE, echoes=len(ahead & part.known), overlap_hits=len(merged - ahead))
            if not self._move_checkpoint(part.listed.values(), limit=limit):
                return
            if part.ends_pass:
                self._end_pass(self._began_at, limit=limit)

    def _move_checkpoint(self, listed: Iterable[Row], *, limit: str) -> bool:
        """So that a pull which is cut off is resumed right here, were it behind what was read before it."""
        positions = [_kept_position(row) for row in listed]
        ahead = (position.updated_at for position in positions if position.updated_at <= limit)
        self._furthest = max([self._furthest, *ahead])
        here = next((position for position in reversed(positions) if position.updated_at and position.row_id), None)
        return here is None or move(self._checkpoint, here, pass_began_at=self._began_at or "", now=self._now)

    def _end_pass(self, began_at: str, *, limit: str) -> None:
        """The next pass begins behind the beginning of this one, however much was written meanwhile.

        Our clock, or the last row, bounds the server's: its Date may be a proxy's, ahead of those who stamp rows.
        """
        furthest = min(self._furthest, limit)  # a pass may have been cut off at a row from the future
        began_at = min(began_at, max(furthest, _instant_text(self._now)))
        move(self._checkpoint, ListPosition(furthest), pass_began_at=began_at, now=self._now)


def _is_under_way(checkpoint: SyncCheckpoint) -> bool:
    """Whether the last pull was cut off: a pass that reached its end leaves no row to go on behind."""
    return bool(checkpoint.row_id)


def _instant_text(moment: datetime | None) -> str:
    return mapping.instant(moment) or ""


def _kept_position(row: Row) -> ListPosition:
    """The row's position as a checkpoint can keep it: without what cannot be read, or no call can name."""
    try:
        updated_at = mapping.instant(row.get("$updatedAt")) or ""
    except ValueError:
        updated_at = ""
    return ListPosition(updated_at, row["$id"] if is_addressable(row["$id"]) else "")


def _new_ids(listed: Mapping[str, Row]) -> list[str]:
    """The ids of rows that changed since both sides agreed on them, or since we looked why they stay out: no echoes."""
    states = sync_state.states().filter(remote_id__in=list(filter(is_addressable, listed)))
    bases = dict(states.values_list("remote_id", "base_updated_at"))
    looked_at = unmatched_rows.seen(row_id for row_id in listed if row_id not in bases)

    def is_new(row_id: str, updated_at: str) -> bool:
        if row_id in bases:
            return updated_at > bases[row_id]
        return updated_at != looked_at.get(unmatched_rows.key_of(row_id))

    return [row_id for row_id, row in listed.items() if is_new(row_id, str(row.get("$updatedAt") or ""))]
