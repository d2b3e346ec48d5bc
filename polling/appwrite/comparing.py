"""A page of the sweep against what is known: which rows want a closer look. Reads, and changes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from polling.appwrite import mapping, states
from polling.appwrite.mapping import RACE_FIELDS, Kind
from polling.appwrite.refusals import Refused
from polling.appwrite.rows import SWEEP_ROWS, Row, Rows, is_addressable
from polling.models import SyncState
from races.models import Race

# All but runners, results and dividends, whose weight would be most of the listing. A script that sends back what it
# read keeps `$updatedAt` as it was: then the content alone tells.
COLUMNS = tuple(name for name, column in RACE_FIELDS.items() if column.kind is not Kind.JSON)


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
    """All rows behind an id, page by page. Raises Missing where the table lacks a column."""
    kept = after
    while True:
        try:
            listed = rows.listed(after, COLUMNS)
        except Refused:
            rows.need_columns(RACE_FIELDS)
            raise
        # The last id that a sweep can be resumed from.
        last = next((row["$id"] for row in reversed(listed) if is_addressable(row["$id"])), kept)
        found = Differences(len(listed), last, len(listed) < SWEEP_ROWS)
        _compare(listed, states.between(kept, None if found.is_last_page else last), found)
        yield found
        if found.is_last_page:
            return
        after, kept = listed[-1]["$id"], last


def _compare(listed: Sequence[Row], expected: QuerySet[SyncState], found: Differences) -> None:
    rows = {row["$id"]: row for row in listed if is_addressable(row["$id"])}
    known = _of_races(remote_id__in=rows)
    # One query for both would read every state, and its base, for each page.
    known += _of_races(pk__in=set(expected.values_list("pk", flat=True)) - {state.pk for state in known})
    found.refused = [row for row in listed if row["$id"] not in rows]
    found.unknown = sorted(rows.keys() - {state.remote_id for state in known})
    for state in (state for state in known if state.has_race):
        row = rows.get(state.remote_id)
        if row and (state.remote_deleted_at or differs(row, state)):
            found.differing.append(state)
            found.made_anew += bool(state.base_sequence) and _sequence(row) != state.base_sequence
        elif row is None and state.base_updated_at:
            found.unseen.append(state)


def _of_races(**those: Any) -> list[Any]:
    """The states, and of each whether it `has_race`."""
    has_race = Exists(Race.objects.filter(pk=OuterRef("local_pk")))
    return list(states.states().filter(**those).annotate(has_race=has_race))


def differs(row: Row, state: SyncState) -> bool:
    """Whether the row is not as it was agreed on: newer, older, made anew, or with another content."""
    if (row.get("$updatedAt"), _sequence(row)) != (state.base_updated_at, state.base_sequence):
        return True
    base = mapping.complete(state.base)
    try:
        return any(mapping.canonical(RACE_FIELDS[name], row.get(name)) != base[name] for name in COLUMNS)
    except ValueError:
        return True


def _sequence(row: Row) -> str:
    return str(row.get("$sequence") or "")
