"""The rows of one table, in the calls that the sync needs."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings

from polling.appwrite.api import capabilities
from polling.appwrite.api.client import GONE_SECONDS, ID, Query, Reply, SyncClient
from polling.appwrite.api.errors import APPLY, InvalidRequest, MissingResource
from polling.errors import Ambiguous, Malformed, OutOfTime, Unavailable

Row = dict[str, Any]

MOST_ROWS = 100  # of a bulk write; also the ids that fit the 4,096 characters of one query
PAGE_ROWS = 500
SWEEP_ROWS = 1000
# A write that our deadline cut off after longer than even slow ones take counts as failed: one row must not hold up
# the others for ever. So does any call where nothing at all was answered in the run.
SLOWEST_WRITE_SECONDS = 5.5
MOST_UNANSWERED = 32  # writes in a row that were cut off, however early: no server is so slow


@dataclass(frozen=True, slots=True, order=True)
class ListPosition:
    """Where a listing by ($updatedAt, $id) has got to. Without an id the instant itself is still to come."""

    updated_at: str = ""
    row_id: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """`$id` and `$updatedAt` of rows, and the server's clock at its answer."""

    rows: list[Row]
    server_time: datetime | None

    @property
    def is_last(self) -> bool:
        return len(self.rows) < PAGE_ROWS


class Rows:
    """One table's rows. Every call ends before `deadline`, an instant of time.monotonic().

    Raises OutOfTime where that deadline ended a call that a slow server might yet have answered.
    """

    def __init__(self, client: SyncClient, table: str, *, deadline: float) -> None:
        self.table = table
        self.deadline = deadline
        self._client = client
        self._has_columns = False
        self._began = time.monotonic()
        self._path = f"/tablesdb/{settings.APPWRITE_DATABASE_ID}/tables/{table}/rows"

    @classmethod
    def within(cls, client: SyncClient, table: str, budget: timedelta) -> "Rows":
        """For calls that all end within `budget` from now."""
        return cls(client, table, deadline=time.monotonic() + budget.total_seconds())

    @property
    def must_read_back(self) -> bool:
        """Whether the server's reply to a write proves nothing: see `capabilities`."""
        return capabilities.must_read_back(self._client.server_version(deadline=self.deadline))

    def extended_by(self, seconds: float) -> "Rows":
        """The same table for calls that may end so much later: they confirm writes that were answered in time."""
        return self._of_same_run(self.table, self.deadline + seconds)

    def of_table(self, table: str) -> "Rows":
        """Another table in the same run."""
        return self._of_same_run(table, self.deadline)

    def _of_same_run(self, table: str, deadline: float) -> "Rows":
        rows = Rows(self._client, table, deadline=deadline)
        rows._began = self._began
        return rows

    def _call_in_time(self, method: str, path: str, **request: Any) -> Reply:
        """A call until our deadline; OutOfTime becomes the server's failure where it has been silent for too long."""
        try:
            return self._client.exchange(method, path, deadline=self.deadline, **request)
        except OutOfTime as error:
            waited, is_write = error.waited_seconds, method != "get"
            is_gone = self._client.answered_at < self._began and waited >= GONE_SECONDS
            is_too_slow = waited >= SLOWEST_WRITE_SECONDS or self._client.unanswered_writes > MOST_UNANSWERED
            if is_gone or (is_write and is_too_slow):
                raise (Ambiguous if is_write else Unavailable)(str(error)) from None
            raise

    def has_time(self, seconds: float) -> bool:
        """Whether so much is left before the deadline."""
        return time.monotonic() + seconds < self.deadline

    def changed_since(self, position: ListPosition) -> Page:
        """A page of what changed after a position, oldest first: $id and $updatedAt alone.

        By values, because a cursor follows a row that changes in between and skips what lies before it.
        """
        queries = [
            *_after_position(position),
            Query.order_asc("$updatedAt"),
            Query.order_asc("$id"),
            Query.select(["$id", "$updatedAt"]),
        ]
        reply = self._call_in_time("get", self._path, params=_list_params(queries, PAGE_ROWS))
        return Page(_rows_of(reply.body), reply.server_time)

    def page_by_id(self, after: str, columns: Iterable[str], *, limit: int | None = None) -> list[Row]:
        """A page of all rows after an id, by id, up to `limit` or 1,000: their system fields and `columns`."""
        later_ids = [Query.greater_than("$id", after)] if after else []
        select = Query.select(["$id", "$updatedAt", "$sequence", *columns])
        params = _list_params([*later_ids, Query.order_asc("$id"), select], limit or SWEEP_ROWS)
        return _rows_of(self._call_in_time("get", self._path, params=params).body)

    def ids_between(self, after: str, last: str) -> set[str]:
        """The ids of all rows after `after`, or from the first on, up to `last`, that one included."""
        found: set[str] = set()
        while True:
            later_ids = [Query.greater_than("$id", after)] if after else []
            queries = [*later_ids, Query.less_than_equal("$id", last), Query.order_asc("$id"), Query.select(["$id"])]
            params = _list_params(queries, SWEEP_ROWS)
            ids = [row["$id"] for row in _rows_of(self._call_in_time("get", self._path, params=params).body)]
            found |= set(ids)
            if len(ids) < SWEEP_ROWS:
                return found
            after = ids[-1]

    def by_id(self, ids: Iterable[str]) -> dict[str, Row]:
        """The rows of these ids that exist, whole, by the id asked for: Appwrite finds `r1` where `R1` is asked for.

        From a list, because the reply of a single row may be cached.
        """
        found: dict[str, Row] = {}
        for some in batches(ids, MOST_ROWS):
            params = _list_params([Query.equal("$id", some)], len(some))
            reply = self._call_in_time("get", self._path, params=params)
            asked = {canonical_id(row_id): row_id for row_id in some} | {row_id: row_id for row_id in some}
            for row in _rows_of(reply.body):
                row_id = asked.get(row["$id"]) or asked.get(canonical_id(row["$id"]))
                if row_id and found.get(row_id, {}).get("$id") != row_id:
                    found[row_id] = row
        return found

    def create(self, documents: Sequence[Row]) -> list[Row]:
        """Creates up to 100 rows, all or none, and returns them; each document has its `$id`."""
        params = {"rows": list(documents)}
        return _rows_of(self._call_in_time("post", self._path, params=params).body)

    def update(self, row_id: str, values: Mapping[str, Any], *, base_updated_at: str) -> Row:
        """Changes fields of a row, if nobody else has since `base_updated_at`. Raises Conflict if somebody has."""
        row = self._write_row("patch", row_id, {"data": dict(values)}, base_updated_at)
        if "$id" not in row:
            raise Ambiguous("the answer leaves out the row")
        return row

    def delete(self, row_id: str, *, base_updated_at: str) -> None:
        """Deletes a row, if nobody has changed it since `base_updated_at`. Raises Conflict if somebody has."""
        self._write_row("delete", row_id, {}, base_updated_at)

    def _write_row(self, method: str, row_id: str, params: dict[str, Any], base_updated_at: str) -> Row:
        """The one way to change an existing row. Without an id its path would be that of all rows."""
        if not is_addressable(row_id):
            raise InvalidRequest(f"{row_id!r} is the id of no row that can be written alone")
        if base_updated_at in ("", "0"):
            raise ValueError("an empty base switches the server's check off")
        headers = {"x-appwrite-timestamp": base_updated_at}
        return self._call_in_time(method, f"{self._path}/{row_id}", headers=headers, params=params).body

    def ids_older_than(self, column: str, instant: str) -> list[str]:
        """The ids of up to 100 rows whose `column` is before the instant."""
        params = _list_params([Query.less_than(column, instant), Query.select(["$id"])], MOST_ROWS)
        reply = self._call_in_time("get", self._path, params=params)
        return [row["$id"] for row in _rows_of(reply.body)]

    def delete_many(self, ids: Sequence[str]) -> None:
        """Deletes these rows, up to 100, whoever wrote them last: for a table of ours alone.

        Without ids the server would take every row.
        """
        if not ids or len(ids) > MOST_ROWS or not all(map(is_addressable, ids)):
            raise ValueError(f"a deletion takes 1 to {MOST_ROWS} ids of rows")
        params = {"queries": [Query.equal("$id", list(ids))]}
        self._call_in_time("delete", self._path, params=params)

    def columns(self) -> dict[str, dict[str, Any]]:
        """The table's columns by key. Raises MissingScope where the key may not read them."""
        path = f"{self._path.removesuffix('/rows')}/columns"
        found = self._call_in_time("get", path, params={"queries": [Query.limit(MOST_ROWS)]}).body.get("columns")
        parts = found if isinstance(found, list) else []
        return {part["key"]: part for part in parts if isinstance(part, dict) and "key" in part}

    def require_columns(self, columns: Iterable[str]) -> None:
        """Raises MissingResource where the table lacks one of our columns: then no row is at fault that was refused.

        Asked once; needs no more than the right to read rows.
        """
        if self._has_columns:
            return
        params = _list_params([Query.select(list(columns))], 1)
        try:
            self._call_in_time("get", self._path, params=params)
        except InvalidRequest as error:
            raise MissingResource(f"the table {self.table} lacks columns of ours; {APPLY}", 400) from error
        self._has_columns = True


def is_addressable(row_id: str) -> bool:
    """Whether a single row may have this id. Bulk writes take any: slashes, spaces, 40 characters."""
    return bool(ID.fullmatch(row_id)) and row_id != "0"


def canonical_id(row_id: str) -> str:
    """An id as Appwrite compares it."""
    return row_id.rstrip(" ").casefold()


def batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _after_position(position: ListPosition) -> list[str]:
    if not position.updated_at:
        return []
    if not position.row_id:
        return [Query.greater_than_equal("$updatedAt", position.updated_at)]
    same_instant = [Query.equal("$updatedAt", position.updated_at), Query.greater_than("$id", position.row_id)]
    later = Query.greater_than("$updatedAt", position.updated_at)
    return [Query.or_queries([later, Query.and_queries(same_instant)])]


def _list_params(queries: list[str], limit: int) -> dict[str, Any]:
    return {"queries": [*queries, Query.limit(limit)], **capabilities.NO_TOTAL}


def _rows_of(body: Row) -> list[Row]:
    rows = body.get("rows")
    if not isinstance(rows, list):
        raise Malformed("Appwrite's answer has no list of rows", 200, str(body))
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("$id"), str)]
