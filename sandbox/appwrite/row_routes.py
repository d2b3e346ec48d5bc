"""Single rows and lists of rows over HTTP."""

from datetime import datetime

from sandbox.appwrite import bulk_routes
from sandbox.appwrite.addressing import data_of, opened, permissions_of
from sandbox.appwrite.announcing import announce
from sandbox.appwrite.call import Call, Reply
from sandbox.appwrite.errors import ApiError
from sandbox.appwrite.queries import DEFAULT_LIMIT, read_queries
from sandbox.appwrite.replay import look
from sandbox.appwrite.rows import Sent, refuse_newer, sent
from sandbox.appwrite.views import row_view, rows_view


def list_rows(call: Call) -> Reply:
    with look(call) as db:
        table, rows = opened(call, db, "read")
        listing = read_queries(call.queries, rows.columns)
        found = rows.found(listing, DEFAULT_LIMIT)
        total = rows.search(listing).total() if call.wants_total else 0
    return Reply(body=rows_view(call, table, total, found, listing.selection))


def get_row(call: Call) -> Reply:
    with look(call) as db:
        table, rows = opened(call, db, "read")
        selection = read_queries(call.queries, rows.columns).selection
        row = rows.get(call.path["row"])
    return Reply(body=row_view(call, table, row, selection))


def create(call: Call) -> Reply:
    """One route for both: a row by `rowId` and `data`, or many by `rows`."""
    row_id, data, specs = _row_id(call), data_of(call), bulk_routes.specs_of(call, [])
    if not data and not specs:
        raise ApiError("row_missing_data")
    if specs:
        if data or row_id or call.body.get("permissions"):
            raise ApiError("general_bad_request", "Set ids, data and permissions on each of the rows instead")
        return bulk_routes.create_rows(call, specs)
    if row_id in (None, "0"):  # PHP holds "0" for empty
        raise ApiError("row_missing_data")
    return _create_row(call, sent(str(row_id), data, permissions_of(call)))


def _create_row(call: Call, new: Sent) -> Reply:
    with call.write() as db:
        table, rows = opened(call, db, "create")
        [row] = rows.create([new])
    announce(call, table, "create", [row])
    return Reply(201, row_view(call, table, row))


def update_row(call: Call) -> Reply:
    new, base = _payload(call), _base_left_to_check(call)
    with call.write() as db:
        table, rows = opened(call, db, "update")
        row = rows.patch(new, base)
    announce(call, table, "update", [row])
    return Reply(body=row_view(call, table, row))


def upsert_row(call: Call) -> Reply:
    new = _payload(call)
    with call.write() as db:
        table, rows = opened(call, db, "update")
        row = rows.upsert(new) or rows.get(new.id)
    announce(call, table, "upsert", [row])
    return Reply(body=row_view(call, table, row))


def delete_row(call: Call) -> Reply:
    base = _base_left_to_check(call)
    with call.write() as db:
        table, rows = opened(call, db, "delete")
        row = rows.get(call.path["row"])
        refuse_newer(row, base)
        rows.delete(row)
    announce(call, table, "delete", [row])
    return Reply(204)


def _base_left_to_check(call: Call) -> datetime | None:
    """The compare-and-set base, unless this version has compared it before it takes the lock."""
    base = call.base()
    if base is None or call.dialect.compares_under_lock:
        return base
    with call.store.read() as db:
        _, rows = opened(call, db, "read")
        refuse_newer(rows.get(call.path["row"]), base)
    return None


def _payload(call: Call) -> Sent:
    data, permissions = data_of(call), permissions_of(call)
    if not data and permissions is None:
        raise ApiError("row_missing_payload")
    return sent(call.path["row"], data, permissions)


def _row_id(call: Call) -> str | None:
    if "rowId" not in call.body:
        return None
    if call.body["rowId"] is None and call.dialect.crashes_on_null_row_id:
        raise ApiError("general_unknown")
    return call.new_id("rowId")
