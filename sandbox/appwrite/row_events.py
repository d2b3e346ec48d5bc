"""The webhook events of rows that were written."""

from collections.abc import Iterable

from sandbox.appwrite.call import Call
from sandbox.appwrite.catalog import Table
from sandbox.appwrite.events import Event, event_names
from sandbox.appwrite.rows import Row
from sandbox.appwrite.views import row_view
from sandbox.appwrite.webhooks import webhooks


def publish(call: Call, table: Table, action: str, rows: Iterable[Row], *, is_bulk: bool = False) -> None:
    """Hands the events to the deliveries, if a webhook is enabled.

    Called after the commit; for a bulk write with the rows of its reply, which are not always all.
    """
    with call.store.read() as db:
        if not any(webhook.enabled for webhook in webhooks(db)):
            return
    # The inner name of the collection slips into the payloads of bulk writes.
    inner = {"$collection": f"database_1_collection_{table.pk}"} if is_bulk else {}
    call.publish(
        [
            Event(
                event_names(table.database_id, table.id, row.id, action),
                row.id,
                row_view(call, table, row) | inner,
            )
            for row in rows
        ]
    )
