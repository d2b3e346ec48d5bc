"""Telling webhooks of rows that were written."""

from collections.abc import Iterable

from sandbox.appwrite.call import Call
from sandbox.appwrite.catalog import Table
from sandbox.appwrite.errors import JsonObject
from sandbox.appwrite.events import COLLECTIONS, TABLES, Event, names
from sandbox.appwrite.old_names import old_body
from sandbox.appwrite.rows import Row
from sandbox.appwrite.views import row_view
from sandbox.appwrite.webhooks import webhooks


def announce(call: Call, table: Table, action: str, rows: Iterable[Row], *, origin: str = "row") -> None:
    """Called after the commit; of a "bulk" write with the rows of its reply, which are not always all.

    The `origin` is "row", "bulk" or "transaction": their payloads differ.
    """
    if call.course.draft:
        return
    with call.store.read() as db:
        if not any(webhook.enabled for webhook in webhooks(db)):
            return
    both = call.old_names or call.dialect.mirrors_row_events or origin == "bulk"
    words = (TABLES, COLLECTIONS) if both else (TABLES,)
    call.tell(
        [
            Event(
                names(table.database_id, table.id, row.id, action, words=words),
                row.id,
                _payload(call, table, row, origin),
            )
            for row in rows
        ]
    )


def _payload(call: Call, table: Table, row: Row, origin: str) -> JsonObject:
    view = row_view(call, table, row)
    if origin == "transaction":
        del view["$databaseId"]
        return {**view, "$collectionId": table.id}
    shown = old_body(view) if call.old_names else view
    # An inner name of the collection slips into what bulk writes tell.
    return {**shown, "$collection": f"database_1_collection_{table.pk}"} if origin == "bulk" else shown
