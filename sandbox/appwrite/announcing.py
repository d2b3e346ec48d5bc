"""Telling webhooks of rows that were written."""

from collections.abc import Iterable

from sandbox.appwrite.call import Call
from sandbox.appwrite.catalog import Table
from sandbox.appwrite.events import COLLECTIONS, TABLES, Event, names
from sandbox.appwrite.rows import Row
from sandbox.appwrite.views import row_view
from sandbox.appwrite.webhooks import webhooks


def announce(call: Call, table: Table, action: str, rows: Iterable[Row], *, bulk: bool = False) -> None:
    """Called after the commit; of a bulk write with the rows of its reply, which are not always all."""
    if call.course.draft:
        return
    with call.store.read() as db:
        if not any(webhook.enabled for webhook in webhooks(db)):
            return
    # An inner name of the collection slips into what bulk writes tell.
    inner = {"$collection": f"database_1_collection_{table.pk}"} if bulk else {}
    words = (TABLES, COLLECTIONS) if call.dialect.mirrors_row_events else (TABLES,)
    call.tell(
        [
            Event(
                names(table.database_id, table.id, row.id, action, words=words),
                row.id,
                {**row_view(call, table, row), **inner},
            )
            for row in rows
        ]
    )
