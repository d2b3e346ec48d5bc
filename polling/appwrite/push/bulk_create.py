"""New rows in one call, all or none: those that exist are found, those that are refused are found by halving."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from polling.appwrite.api.errors import InvalidRequest
from polling.appwrite.api.rows import Row, Rows
from polling.appwrite.push.failure_policy import Response, after_call
from polling.appwrite.schema.table_faults import TableRefusals
from polling.errors import Conflict, PollingError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Created(Generic[T]):
    """What one call decided: rows it `created`, rows that `existed`, as they are, and `failed` ones with the reason."""

    created: Sequence[tuple[T, Row]] = ()
    existed: Sequence[tuple[T, Row]] = ()
    failed: Sequence[tuple[T, PollingError]] = ()


def create_rows(documents: Mapping[T, Row], rows: Rows, refusals: TableRefusals) -> Iterator[Created[T]]:
    """Creates up to 100 rows; yields what each call decided, so that it is kept though a later call fails.

    documents: the whole row of each item, with its `$id`. An item that the answer leaves out is in none of the lists.
    refusals: finds out whether the table itself refuses rows.
    Raises the PollingError that stops the push.
    """
    if not documents:
        return
    items = [(item, document["$id"]) for item, document in documents.items()]
    try:
        replies = {row["$id"]: row for row in rows.create([*documents.values()])}
    except Conflict as conflict:
        error: PollingError = conflict
        if there := rows.by_id(row_id for _, row_id in items):
            yield Created(existed=[(item, there[row_id]) for item, row_id in items if row_id in there])
            missing = {item: documents[item] for item, row_id in items if row_id not in there}
            yield from create_rows(missing, rows, refusals)
            return
    except InvalidRequest as refusal:
        error = refusals.find_fault() or refusal
    else:
        yield Created(created=[(item, replies[row_id]) for item, row_id in items if row_id in replies])
        return
    if after_call(error, rows=len(items)) is Response.HALVE:
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            yield from create_rows({item: documents[item] for item, _ in half}, rows, refusals)
    else:
        yield Created(failed=[(item, error) for item, _ in items])
