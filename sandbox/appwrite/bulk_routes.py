"""Writes of many rows over HTTP."""

from typing import Any

from sandbox.appwrite.call import Call, Reply, unique_id, valid_id
from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.permissions import ROW_ACTIONS, expand_permissions
from sandbox.appwrite.queries import read_queries
from sandbox.appwrite.request_parts import open_rows, read_data
from sandbox.appwrite.row_events import publish
from sandbox.appwrite.rows import RowWrite, read_row_write
from sandbox.appwrite.values import encode_columns
from sandbox.appwrite.views import rows_view

MOST_ROWS = 100


def read_specs(call: Call, default: Any = None) -> list[JsonObject]:
    """The `rows` of a bulk write. Raises general_argument_invalid, also for the 101st row."""
    specs = call.body.get("rows", default)
    if not isinstance(specs, list) or len(specs) > MOST_ROWS or not all(isinstance(spec, dict) for spec in specs):
        raise ApiError("general_argument_invalid", "rows")
    return specs


def create_rows(call: Call, specs: list[JsonObject]) -> Reply:
    """Either all rows are created or none. The reply has them in the order sent."""
    writes = [_read_checked(spec) for spec in specs]
    with call.write() as db:
        table, rows = open_rows(call, db)
        created = rows.create(writes)
    publish(call, table, "create", created, is_bulk=True)
    return Reply(201, rows_view(call, table, len(created), created))


def upsert_rows(call: Call) -> Reply:
    """Rows that did not change are missing from the reply. racepoll never upserts, but other apps do."""
    writes = [_read_unchecked(spec) for spec in read_specs(call)]
    with call.write() as db:
        table, rows = open_rows(call, db)
        changed = [row for row in map(rows.upsert, writes) if row is not None]
        # Refused last, since a bad row comes first; the transaction takes back what was stored.
        if len({write.id for write in writes}) < len(writes):
            raise ApiError("row_already_exists", "multiple")
    publish(call, table, "upsert", changed, is_bulk=True)
    return Reply(body=rows_view(call, table, len(changed), changed))


def update_rows(call: Call) -> Reply:
    """Without queries the whole table changes."""
    data = read_data(call)
    if not data:
        raise ApiError("row_missing_payload")
    write = read_row_write("", data, None)
    with call.write() as db:
        table, rows = open_rows(call, db)
        changes = encode_columns(rows.columns, write.values, now=call.now)
        found = rows.found(read_queries(call.body.get("queries") or [], rows.columns))
        changed = [rows.overwrite(row, write, changes) for row in found]
    publish(call, table, "update", changed[:MOST_ROWS], is_bulk=True)
    return Reply(body=rows_view(call, table, len(changed), changed[:MOST_ROWS]))


def delete_rows(call: Call) -> Reply:
    """Without queries the whole table is emptied."""
    with call.write() as db:
        table, rows = open_rows(call, db)
        found = rows.found(read_queries(call.body.get("queries") or [], rows.columns))
        for row in found:
            rows.delete(row)
    publish(call, table, "delete", found[:MOST_ROWS], is_bulk=True)
    return Reply(body=rows_view(call, table, len(found), found[:MOST_ROWS]))


def _read_checked(spec: JsonObject) -> RowWrite:
    """A row of a bulk create; one without an id gets a random one."""
    row_id = spec.get("$id")
    if row_id in (None, "unique()"):
        row_id = unique_id()
    if not valid_id(row_id):
        raise ApiError("general_bad_request", "The $id of a row is not valid")
    try:
        permissions = expand_permissions(spec.get("$permissions") or [], ROW_ACTIONS)
    except ApiError as exc:
        raise ApiError("general_bad_request", "The $permissions of a row are not valid") from exc
    return read_row_write(row_id, spec, permissions)


def _read_unchecked(spec: JsonObject) -> RowWrite:
    """A row of a bulk upsert: the server checks neither ids nor permissions, and breaks on a wrong type."""
    row_id, permissions = spec.get("$id", ""), spec.get("$permissions")
    if not isinstance(row_id, str) or not isinstance(permissions, list | None):
        raise ApiError("general_unknown")
    return read_row_write(row_id or unique_id(), spec, permissions)
