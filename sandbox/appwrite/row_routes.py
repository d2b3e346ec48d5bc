"""Single rows and lists of rows over HTTP."""

from datetime import datetime

from sandbox.appwrite import bulk_routes
from sandbox.appwrite.call import Call, Reply
from sandbox.appwrite.errors import ApiError
from sandbox.appwrite.queries import DEFAULT_LIMIT, read_queries
from sandbox.appwrite.request_parts import open_rows, read_data, read_permissions
from sandbox.appwrite.row_events import publish
from sandbox.appwrite.rows import RowWrite, read_row_write, refuse_newer
from sandbox.appwrite.views import row_view, rows_view


def list_rows(call: Call) -> Reply:
    with call.store.read() as db:
        table, rows = open_rows(call, db)
        listing = read_queries(call.queries, rows.columns)
        found = rows.found(listing, DEFAULT_LIMIT)
        total = rows.search(listing).total() if call.wants_total else 0
    return Reply(body=rows_view(call, table, total, found, listing.selection))


def get_row(call: Call) -> Reply:
    with call.store.read() as db:
        table, rows = open_rows(call, db)
        return Reply(body=row_view(call, table, rows.get(call.path["row"])))


def create(call: Call) -> Reply:
    """One route for both: a row by `rowId` and `data`, or many by `rows`."""
    row_id, data, specs = _read_row_id(call), read_data(call), bulk_routes.read_specs(call, [])
    if not data and not specs:
        raise ApiError("row_missing_data")
    if specs:
        if data or row_id or call.body.get("permissions"):
            raise ApiError("general_bad_request", "Set ids, data and permissions on each of the rows instead")
        return bulk_routes.create_rows(call, specs)
    if row_id in (None, "0"):  # PHP takes "0" for empty
        raise ApiError("row_missing_data")
    return _create_row(call, read_row_write(str(row_id), data, read_permissions(call)))


def _create_row(call: Call, write: RowWrite) -> Reply:
    with call.write() as db:
        table, rows = open_rows(call, db)
        [row] = rows.create([write])
    publish(call, table, "create", [row])
    return Reply(201, row_view(call, table, row))


def update_row(call: Call) -> Reply:
    data, permissions = read_data(call), read_permissions(call)
    if not data and permissions is None:
        raise ApiError("row_missing_payload")
    write = read_row_write(call.path["row"], data, permissions)
    base = _base_to_check_under_lock(call)
    with call.write() as db:
        table, rows = open_rows(call, db)
        row = rows.patch(write, base)
    publish(call, table, "update", [row])
    return Reply(body=row_view(call, table, row))


def delete_row(call: Call) -> Reply:
    base = _base_to_check_under_lock(call)
    with call.write() as db:
        table, rows = open_rows(call, db)
        row = rows.get(call.path["row"])
        refuse_newer(row, base)
        rows.delete(row)
    publish(call, table, "delete", [row])
    return Reply(204)


def _base_to_check_under_lock(call: Call) -> datetime | None:
    """The compare-and-set base, or None if this version has compared it before it takes the lock."""
    base = call.base()
    if base is None or call.dialect.compares_under_lock:
        return base
    with call.store.read() as db:
        _, rows = open_rows(call, db)
        refuse_newer(rows.get(call.path["row"]), base)
    return None


def _read_row_id(call: Call) -> str | None:
    if "rowId" not in call.body:
        return None
    if call.body["rowId"] is None and call.dialect.crashes_on_null_row_id:
        raise ApiError("general_unknown")
    return call.new_id("rowId")
