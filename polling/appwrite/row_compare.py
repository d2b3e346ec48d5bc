"""A page of the sweep against what is known: which rows want a closer look. Reads, and changes nothing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from polling.appwrite import mapping, sync_state
from polling.appwrite.api.errors import InvalidRequest
from polling.appwrite.api.rows import SWEEP_ROWS, Row, Rows, is_addressable
from polling.appwrite.mapping import RACE_FIELDS, Kind
from polling.models import SyncState
from races.models import Race

# A script that sends back what it read keeps `$updatedAt` as it was: then the content alone tells. The long texts,
# runners, results and dividends, would be most of a listing, so each sweep looks at those of some rows, in turn.
TEXTS = tuple(name for name, column in RACE_FIELDS.items() if column.kind is Kind.JSON)
COLUMNS = tuple(name for name in RACE_FIELDS if name not in TEXTS)


@dataclass(slots=True)
class Differences:
    """What one page of rows shows, by the ids of rows or their states.

    `unknown` rows are of no race; `differing` ones are not as they were agreed on; `unseen` ones were expected in the
    page; `refused` ones have an id that no single row may have. Those whose race is gone here are the push's to delete.
    So many of the differing ones were `made_anew`.
    """

    count: int
    last: str
    is_last_page: bool
    unknown: list[str] = field(default_factory=list)
    differing: list[SyncState] = field(default_factory=list)
    unseen: list[SyncState] = field(default_factory=list)
    refused: list[Row] = field(default_factory=list)
    made_anew: int = 0


def pages(rows: Rows, *, after: str) -> Iterator[Differences]:
    """All rows behind an id, page by page. Raises MissingResource where the table lacks a column."""
    kept = after
    while True:
        listed = _listed(rows, after, COLUMNS)
        # The last id that a sweep can be resumed from.
        last = next((row["$id"] for row in reversed(listed) if is_addressable(row["$id"])), kept)
        found = Differences(len(listed), last, len(listed) < SWEEP_ROWS)
        _compare(listed, sync_state.between(kept, None if found.is_last_page else last), found)
        yield found
        if found.is_last_page:
            return
        after, kept = listed[-1]["$id"], last


def _listed(rows: Rows, after: str, columns: Iterable[str], *, limit: int | None = None) -> list[Row]:
    """A page of rows. Raises MissingResource where the table lacks a column."""
    try:
        return rows.page_by_id(after, columns, limit=limit)
    except InvalidRequest:
        rows.require_columns(RACE_FIELDS)
        raise


def _compare(listed: Sequence[Row], expected: QuerySet[SyncState], found: Differences) -> None:
    rows = {row["$id"]: row for row in listed if is_addressable(row["$id"])}
    known = _of_races(remote_id__in=rows)
    # One query for both would read every state, and its base, for each page.
    known += _of_races(pk__in=set(expected.values_list("pk", flat=True)) - {state.pk for state in known})
    found.refused = [row for row in listed if row["$id"] not in rows]
    found.unknown = sorted(rows.keys() - {state.remote_id for state in known})
    for state in (state for state in known if state.has_race):
        row = rows.get(state.remote_id)
        if row and (state.remote_deleted_at or differs(row, state, COLUMNS)):
            found.differing.append(state)
            found.made_anew += bool(state.base_sequence) and _sequence(row) != state.base_sequence
        elif row is None and state.base_updated_at:
            found.unseen.append(state)


def _of_races(**those: Any) -> list[Any]:
    """The states, and of each whether it `has_race`."""
    has_race = Exists(Race.objects.filter(pk=OuterRef("local_pk")))
    return list(sync_state.states().filter(**those).annotate(has_race=has_race))


def differing_texts(rows: Rows, *, after: str, limit: int) -> tuple[list[SyncState], str]:
    """The states of rows whose long texts are not as agreed on, of so many rows behind an id; and the id to go on from.

    That id is empty where the rows have come to their end.
    """
    listed = _listed(rows, after, TEXTS, limit=limit)
    fit = {row["$id"]: row for row in listed if is_addressable(row["$id"])}
    known = [state for state in _of_races(remote_id__in=fit) if state.has_race and state.base_updated_at]
    last = next(reversed(fit), "") if len(listed) == limit else ""
    return [state for state in known if differs(fit[state.remote_id], state, TEXTS)], last


def differs(row: Row, state: SyncState, columns: Iterable[str] = RACE_FIELDS) -> bool:
    """Whether the row is not as it was agreed on: newer, older, made anew, or with another content of these columns."""
    if (row.get("$updatedAt"), _sequence(row)) != (state.base_updated_at, state.base_sequence):
        return True
    base = mapping.complete(state.base)
    return any(mapping.readable(RACE_FIELDS[name], row.get(name)) != base[name] for name in columns)


def _sequence(row: Row) -> str:
    return str(row.get("$sequence") or "")
