"""A page of the sweep against what is known: which rows need a closer look. Reads, and changes nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from polling.appwrite import mapping, sync_state
from polling.appwrite.api.errors import InvalidRequest
from polling.appwrite.api.rows import SWEEP_ROWS, Row, Rows, is_addressable
from polling.appwrite.mapping import RACE_FIELDS, Kind
from polling.models import SyncState
from races.models import Race

# A script that sends back what it read keeps `$updatedAt` as it was: then the content alone shows it. The long texts,
# runners, results and dividends, would be most of a listing, so each sweep looks at those of some rows, in turn.
TEXTS = tuple(name for name, column in RACE_FIELDS.items() if column.kind is Kind.JSON)
COLUMNS = tuple(name for name in RACE_FIELDS if name not in TEXTS)


@dataclass(slots=True)
class PageDifferences:
    """What one page of rows shows, by the ids of rows or their states; a sweep is resumed behind `last_id`.

    `unknown` rows belong to no race; `differing` ones are not as they were agreed on; `unseen` ones were expected in
    the page; no single call can name the `unaddressable` ones. Rows whose race is gone here are the push's to delete.
    So many of the differing ones were `recreated`.
    """

    count: int
    last_id: str
    is_last: bool
    unknown: list[str] = field(default_factory=list)
    differing: list[SyncState] = field(default_factory=list)
    unseen: list[SyncState] = field(default_factory=list)
    unaddressable: list[Row] = field(default_factory=list)
    recreated: int = 0

    @property
    def known(self) -> list[SyncState]:
        return [*self.differing, *self.unseen]


def pages(rows: Rows, *, after: str) -> Iterator[PageDifferences]:
    """All rows behind an id, compared page by page. Raises MissingResource where the table lacks a column."""
    kept = after
    while True:
        listed = _list_rows(rows, after, COLUMNS)
        last = next((row["$id"] for row in reversed(listed) if is_addressable(row["$id"])), kept)
        page = PageDifferences(len(listed), last, len(listed) < SWEEP_ROWS)
        _compare_page(page, listed, sync_state.between(kept, None if page.is_last else last))
        yield page
        if page.is_last:
            return
        after, kept = listed[-1]["$id"], last


def _list_rows(rows: Rows, after: str, columns: Iterable[str], *, limit: int | None = None) -> list[Row]:
    """A page of rows. Raises MissingResource where the table lacks a column."""
    try:
        return rows.page_by_id(after, columns, limit=limit)
    except InvalidRequest:
        rows.require_columns(RACE_FIELDS)
        raise


def _compare_page(page: PageDifferences, listed: Sequence[Row], expected: QuerySet[SyncState]) -> None:
    rows = {row["$id"]: row for row in listed if is_addressable(row["$id"])}
    known = _states_with_race(remote_id__in=rows)
    # One query for both would read every state, and its base, for each page.
    known += _states_with_race(pk__in=set(expected.values_list("pk", flat=True)) - {state.pk for state in known})
    page.unaddressable = [row for row in listed if row["$id"] not in rows]
    page.unknown = sorted(rows.keys() - {state.remote_id for state in known})
    for state in (state for state in known if state.has_race):
        row = rows.get(state.remote_id)
        if row and (state.remote_deleted_at or differs(row, state, COLUMNS)):
            page.differing.append(state)
            page.recreated += bool(state.base_sequence) and _sequence_of(row) != state.base_sequence
        elif row is None and state.base_updated_at:
            page.unseen.append(state)


def _states_with_race(**those: Any) -> list[Any]:
    """The states that have these values, and of each whether it `has_race`."""
    has_race = Exists(Race.objects.filter(pk=OuterRef("local_pk")))
    return list(sync_state.states().filter(**those).annotate(has_race=has_race))


def differing_texts(rows: Rows, *, after: str, limit: int) -> tuple[list[SyncState], str]:
    """The states of rows whose long texts are not as agreed on, of so many rows behind an id; and the id to go on from.

    That id is empty where the rows have come to their end.
    """
    listed = _list_rows(rows, after, TEXTS, limit=limit)
    fit = {row["$id"]: row for row in listed if is_addressable(row["$id"])}
    known = [state for state in _states_with_race(remote_id__in=fit) if state.has_race and state.base_updated_at]
    last = next(reversed(fit), "") if len(listed) == limit else ""
    return [state for state in known if differs(fit[state.remote_id], state, TEXTS)], last


def differs(row: Row, state: SyncState, columns: Iterable[str] = RACE_FIELDS) -> bool:
    """Whether the row is not as it was agreed on: newer, older, recreated, or with another content of these columns."""
    as_agreed = (row.get("$updatedAt"), _sequence_of(row)) == (state.base_updated_at, state.base_sequence)
    return not as_agreed or content_differs(row, state, columns)


def content_differs(row: Mapping[str, Any], state: SyncState, columns: Iterable[str]) -> bool:
    """Whether a row has other values in these columns than those that were agreed on."""
    base = mapping.complete(state.base)
    return any(mapping.readable(RACE_FIELDS[name], row.get(name)) != base[name] for name in columns)


def _sequence_of(row: Row) -> str:
    return str(row.get("$sequence") or "")
