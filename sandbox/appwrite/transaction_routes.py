"""Transactions over HTTP, and the row routes inside one: what is staged there is done at the commit."""

from dataclasses import replace
from sqlite3 import Connection
from typing import Any

from sandbox.appwrite import catalog, transactions
from sandbox.appwrite.addressing import data_of, opened, permissions_of
from sandbox.appwrite.announcing import announce
from sandbox.appwrite.bulk_routes import checked, specs_of
from sandbox.appwrite.call import Call, Reply, unique_id
from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.errors import ApiError, JsonObject, OldNameError
from sandbox.appwrite.replay import Replay, look
from sandbox.appwrite.rows import TableRows, sent
from sandbox.appwrite.transactions import Operation, Transaction
from sandbox.appwrite.views import page, row_view


def list_transactions(call: Call) -> Reply:
    with call.store.read() as db:
        return page(call, "transactions", transactions.transactions(db), Transaction.view)


def begin(call: Call) -> Reply:
    ttl = call.body.get("ttl", transactions.USUAL_SECONDS)
    if type(ttl) is not int or not transactions.SHORTEST_SECONDS <= ttl <= transactions.LONGEST_SECONDS:
        raise ApiError("general_argument_invalid", "ttl")
    begun = Transaction.begun(unique_id(), ttl, now=call.now)
    with call.write() as db:
        transactions.save_transaction(db, begun)
    return Reply(201, begun.view())


def get_transaction(call: Call) -> Reply:
    with call.store.read() as db:
        return Reply(body=transactions.find_transaction(db, call.path["transaction"]).view())


def delete_transaction(call: Call) -> Reply:
    with call.write() as db:
        transactions.remove_transaction(db, transactions.find_transaction(db, call.path["transaction"]).id)
    return Reply(204)


def stage_operations(call: Call) -> Reply:
    staged = [_operation(call, spec) for spec in _specs(call)]
    with call.write() as db:
        transaction = transactions.find_pending(db, call.path["transaction"], now=call.now)
        grown = transactions.stage(db, transaction, staged)
        _refuse_lost(call, db, transactions.operations(db, transaction.id), staged)
    return Reply(201, grown.view())


def _specs(call: Call) -> list[JsonObject]:
    specs = call.body.get("operations", [])
    if not isinstance(specs, list) or not all(isinstance(spec, dict) for spec in specs):
        raise ApiError("general_argument_invalid", "operations")
    if not specs:
        raise ApiError("general_bad_request", "There are no operations")
    return specs


def _operation(call: Call, spec: JsonObject) -> Operation:
    action, data = spec.get("action"), spec.get("data")
    if action in transactions.LEFT_OUT:
        raise ApiError("sandbox_not_implemented", f"staged {action}s")
    named = all(isinstance(spec.get(name), str) for name in ("databaseId", "tableId"))
    if not named or not transactions.fitting(action, data):
        raise ApiError("general_argument_invalid", "operations")
    row_id = spec.get("rowId") or ""
    if action in ("update", "upsert", "delete") and not row_id:
        raise ApiError("general_bad_request", f"The id of a row is required to {action} it")
    return Operation(
        str(action), spec["databaseId"], spec["tableId"], str(row_id), {} if data is None else data, canonical(call.now)
    )


def _refuse_lost(call: Call, db: Connection, everything: list[Operation], staged: list[Operation]) -> None:
    """A table that is not there, and a row to change or delete that neither is there nor staged to be."""
    made = {row_id for operation in everything for row_id in operation.made_ids}
    try:
        addresses = {(operation.database_id, operation.table_id) for operation in staged}
        tables = {address: catalog.find_table(db, *address) for address in sorted(addresses)}
        for operation in staged:
            if operation.action in ("update", "delete") and operation.row_id not in made:
                table = tables[operation.database_id, operation.table_id]
                TableRows(db, table, call.dialect, call.now).get(operation.row_id)
    except ApiError as exc:
        # Whichever route was asked, the server says it of documents and collections.
        raise OldNameError(exc.kind, exc.detail) from exc


def end(call: Call) -> Reply:
    """Commits or rolls back; after a commit the transaction is gone, after anything else it stays as failed."""
    commit, rollback = call.flag("commit", False), call.flag("rollback", False)
    if commit == rollback:
        raise ApiError("general_bad_request", "Either commit or rollback must be true")
    if commit:
        return _commit(call)
    with call.write() as db:
        failed = _failed(call, db)
    return Reply(body=failed.view())


def _commit(call: Call) -> Reply:
    try:
        with call.write() as db:
            transaction = transactions.find_pending(db, call.path["transaction"], now=call.now)
            replay = Replay(call, db)
            replay.run(transactions.operations(db, transaction.id))
            transactions.remove_transaction(db, transaction.id)
    except ApiError as exc:
        if exc.kind.startswith("transaction_"):
            raise
        with call.store.write(draft=call.course.draft) as db:
            _failed(call, db)
        if exc.kind in ("row_already_exists", "row_update_conflict"):
            raise ApiError("transaction_conflict") from exc
        raise OldNameError(exc.kind, exc.detail) from exc
    for table, action, row in replay.done:
        announce(call, table, action, [row], origin="transaction")
    return Reply(body=replace(transaction, status="committed", updated_at=canonical(call.now)).view())


def _failed(call: Call, db: Connection) -> Transaction:
    pending = transactions.find_pending(db, call.path["transaction"], now=call.now)
    failed = replace(pending, status="failed", updated_at=canonical(call.now))
    transactions.save_transaction(db, failed)
    return failed


def stage_create(call: Call) -> Reply:
    specs, data = specs_of(call, []), data_of(call)
    if specs:
        rows = [{**spec, "$id": checked(spec).id} for spec in specs]
        return _staged_many(call, "bulkCreate", rows, len(rows))
    if not data:
        raise ApiError("row_missing_data")
    return _staged_new(call, "create", call.new_id("rowId"), data)


def stage_upsert(call: Call) -> Reply:
    return _staged_new(call, "upsert", call.path["row"], _payload(call))


def stage_update(call: Call) -> Reply:
    """The reply is the row as it would be."""
    row_id, data = call.path["row"], _payload(call)
    with look(call) as db:
        table, rows = opened(call, db, "update")
        row = rows.patch(sent(row_id, data, data.get("$permissions")), None)
    _stage(call, "update", row_id, data)
    return Reply(body=row_view(call, table, row))


def stage_delete(call: Call) -> Reply:
    with look(call) as db:
        _, rows = opened(call, db, "delete")
        rows.get(call.path["row"])
    _stage(call, "delete", call.path["row"], {})
    return Reply(204)


def stage_upserts(call: Call) -> Reply:
    specs = specs_of(call)
    return _staged_many(call, "bulkUpsert", specs, len(specs))


def stage_updates(call: Call) -> Reply:
    data = data_of(call)
    if not data:
        raise ApiError("row_missing_payload")
    return _staged_many(call, "bulkUpdate", {"data": data, "queries": call.body.get("queries") or []}, 0)


def stage_deletes(call: Call) -> Reply:
    return _staged_many(call, "bulkDelete", {"queries": call.body.get("queries") or []}, 0)


def _payload(call: Call) -> JsonObject:
    data, permissions = data_of(call), permissions_of(call)
    if not data and permissions is None:
        raise ApiError("row_missing_payload")
    return data if permissions is None else {**data, "$permissions": permissions}


def _stage(call: Call, action: str, row_id: str, data: Any) -> None:
    database_id, table_id = call.path["database"], call.path["table"]
    operation = Operation(action, database_id, table_id, row_id, data, canonical(call.now))
    with call.write() as db:
        opened(call, db, "create" if "reate" in action else "update")
        transaction = transactions.find_pending(db, call.transaction_id, now=call.now)
        transactions.stage(db, transaction, [operation])


def _staged_new(call: Call, action: str, row_id: str, data: JsonObject) -> Reply:
    """The reply shows what was sent: neither defaults nor times are known yet."""
    permissions = permissions_of(call) or []
    _stage(call, action, row_id, {**data, "$id": row_id, "$permissions": permissions})
    shown = {
        "$id": row_id,
        "$permissions": permissions,
        "$sequence": "" if call.text_sequence else 0,
        "$databaseId": call.path["database"],
        "$tableId": call.path["table"],
    }
    return Reply(201, {**data, **shown})


def _staged_many(call: Call, action: str, data: Any, total: int) -> Reply:
    _stage(call, action, "", data)
    return Reply(body={"total": total, "rows": []})
