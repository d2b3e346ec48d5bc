"""Writes of many rows over HTTP."""

from typing import Any

from sandbox.appwrite.addressing import data_of, opened
from sandbox.appwrite.announcing import announce
from sandbox.appwrite.call import Call, Reply, unique_id, valid_id
from sandbox.appwrite.errors import ApiError, JsonObject
from sandbox.appwrite.permissions import ROW_ACTIONS, expanded
from sandbox.appwrite.queries import read_queries
from sandbox.appwrite.rows import Sent, sent
from sandbox.appwrite.values import encode_part
from sandbox.appwrite.views import rows_view

MOST_ROWS = 100


def specs_of(call: Call, default: Any = None) -> list[JsonObject]:
    """The `rows` of a bulk write. Raises general_argument_invalid, also for the 101st row."""
    specs = call.body.get("rows", default)
    if not isinstance(specs, list) or len(specs) > MOST_ROWS:
        raise ApiError("general_argument_invalid", "rows")
    if not all(isinstance(spec, dict) for spec in specs):
        raise ApiError("general_argument_invalid", "rows")
    return specs


def create_rows(call: Call, specs: list[JsonObject]) -> Reply:
    news = [checked(spec) for spec in specs]
    with call.write() as db:
        table, rows = opened(call, db, "create")
        created = rows.create(news)
    announce(call, table, "create", created, origin="bulk")
    return Reply(201, rows_view(call, table, len(created), created))


def upsert_rows(call: Call) -> Reply:
    """Rows that did not change are missing from the reply."""
    news = [unchecked(spec) for spec in specs_of(call)]
    with call.write() as db:
        table, rows = opened(call, db, "update")
        changed = [row for row in map(rows.upsert, news) if row is not None]
        # Told last, since a bad row comes first; the transaction takes back what was stored.
        if len({new.id for new in news}) < len(news):
            raise ApiError("row_already_exists", "multiple")
    announce(call, table, "upsert", changed, origin="bulk")
    return Reply(body=rows_view(call, table, len(changed), changed))


def update_rows(call: Call) -> Reply:
    """Without queries the whole table changes."""
    data = data_of(call)
    if not data:
        raise ApiError("row_missing_payload")
    new = sent("", data, None)
    with call.write() as db:
        table, rows = opened(call, db, "update")
        changes = encode_part(rows.columns, new.values, now=call.now)
        found = rows.found(read_queries(call.body.get("queries") or [], rows.columns))
        changed = [rows.overwrite(row, new, changes) for row in found]
    announce(call, table, "update", changed[:MOST_ROWS], origin="bulk")
    return Reply(body=rows_view(call, table, len(changed), changed[:MOST_ROWS]))


def delete_rows(call: Call) -> Reply:
    """Without queries the whole table goes."""
    with call.write() as db:
        table, rows = opened(call, db, "delete")
        found = rows.found(read_queries(call.body.get("queries") or [], rows.columns))
        for row in found:
            rows.delete(row)
    announce(call, table, "delete", found[:MOST_ROWS], origin="bulk")
    return Reply(body=rows_view(call, table, len(found), found[:MOST_ROWS]))


def checked(spec: JsonObject) -> Sent:
    """A row of a bulk create; one without an id gets a made one."""
    row_id = spec.get("$id")
    if row_id in (None, "unique()"):
        row_id = unique_id()
    if not valid_id(row_id):
        raise ApiError("general_bad_request", "The $id of a row is not valid")
    return sent(row_id, spec, _permissions(spec))


def _permissions(spec: JsonObject) -> list[str]:
    try:
        return expanded(spec.get("$permissions") or [], ROW_ACTIONS)
    except ApiError as exc:
        raise ApiError("general_bad_request", "The $permissions of a row are not valid") from exc


def unchecked(spec: JsonObject) -> Sent:
    """A row of a bulk upsert: the server checks neither ids nor permissions, and breaks on a wrong type."""
    row_id, permissions = spec.get("$id", ""), spec.get("$permissions")
    if not isinstance(row_id, str) or not isinstance(permissions, list | None):
        raise ApiError("general_unknown")
    return sent(row_id or unique_id(), spec, permissions)
