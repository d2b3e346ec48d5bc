"""Transactions and their staged operations as they are stored."""

import json
import sqlite3
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from sandbox.appwrite.datetimes import canonical, parse
from sandbox.appwrite.errors import ApiError, JsonObject

SHORTEST_SECONDS, USUAL_SECONDS, LONGEST_SECONDS = 60, 300, 3600
MOST_OPERATIONS = 100
# The actions with the form of their data: none for a delete, a list of rows for two of those on many rows.
FORMS: dict[str, type] = {
    **dict.fromkeys(("create", "update", "upsert", "bulkUpdate", "bulkDelete"), dict),
    **dict.fromkeys(("bulkCreate", "bulkUpsert"), list),
    "delete": object,
}
# Known to the real server and not done here.
LEFT_OUT = ("increment", "decrement")


@dataclass(frozen=True)
class Operation:
    """One staged write. A bulk one has no row, and its data are rows, or `queries` and `data`."""

    action: str
    database_id: str
    table_id: str
    row_id: str
    data: Any
    staged_at: str

    @property
    def made_ids(self) -> list[str]:
        """The rows that are there once it is done, as far as it names them."""
        if self.action in ("bulkCreate", "bulkUpsert"):
            return [str(spec.get("$id")) for spec in self.data]
        return [self.row_id] if self.action in ("create", "upsert") else []


@dataclass(frozen=True)
class Transaction:
    id: str
    status: str
    operations: int
    created_at: str
    updated_at: str
    expires_at: str

    @classmethod
    def begun(cls, transaction_id: str, seconds: int, *, now: datetime) -> Self:
        moment = canonical(now)
        return cls(transaction_id, "pending", 0, moment, moment, canonical(now + timedelta(seconds=seconds)))

    def view(self) -> JsonObject:
        return {
            "$id": self.id,
            "$createdAt": self.created_at,
            "$updatedAt": self.updated_at,
            "status": self.status,
            "operations": self.operations,
            "expiresAt": self.expires_at,
        }


def fitting(action: Any, data: Any) -> bool:
    """Whether it is an action and these are data for it."""
    form = FORMS.get(action) if isinstance(action, str) else None
    if form is list:
        return isinstance(data, list) and all(isinstance(spec, dict) for spec in data)
    return form is not None and isinstance(data, form)


def transactions(db: sqlite3.Connection) -> list[Transaction]:
    return [Transaction(**json.loads(row["spec"])) for row in db.execute("SELECT spec FROM transactions ORDER BY pk")]


def find_transaction(db: sqlite3.Connection, transaction_id: str) -> Transaction:
    row = db.execute("SELECT spec FROM transactions WHERE id = ?", [transaction_id]).fetchone()
    if row is None:
        raise ApiError("transaction_not_found", transaction_id)
    return Transaction(**json.loads(row["spec"]))


def find_pending(db: sqlite3.Connection, transaction_id: str, *, now: datetime) -> Transaction:
    """One that still takes operations and can be ended. Raises transaction_not_ready and transaction_expired."""
    found = find_transaction(db, transaction_id)
    if found.status != "pending":
        raise ApiError("transaction_not_ready")
    if now > parse(found.expires_at):
        raise ApiError("transaction_expired")
    return found


def save_transaction(db: sqlite3.Connection, transaction: Transaction) -> None:
    db.execute(
        "INSERT INTO transactions (id, spec) VALUES (:id, :spec) ON CONFLICT (id) DO UPDATE SET spec = :spec",
        {"id": transaction.id, "spec": json.dumps(asdict(transaction))},
    )


def remove_transaction(db: sqlite3.Connection, transaction_id: str) -> None:
    db.execute("DELETE FROM operations WHERE transaction_id = ?", [transaction_id])
    db.execute("DELETE FROM transactions WHERE id = ?", [transaction_id])


def operations(db: sqlite3.Connection, transaction_id: str) -> list[Operation]:
    found = db.execute("SELECT spec FROM operations WHERE transaction_id = ? ORDER BY pk", [transaction_id])
    return [Operation(**json.loads(row["spec"])) for row in found.fetchall()]


def stage(db: sqlite3.Connection, transaction: Transaction, staged: list[Operation]) -> Transaction:
    """Raises transaction_limit_exceeded; a bulk write counts as one operation."""
    count = transaction.operations + len(staged)
    if count > MOST_OPERATIONS:
        raise ApiError("transaction_limit_exceeded", f"{count} operations are more than {MOST_OPERATIONS}")
    db.executemany(
        "INSERT INTO operations (transaction_id, spec) VALUES (?, ?)",
        [[transaction.id, json.dumps(asdict(operation))] for operation in staged],
    )
    grown = replace(transaction, operations=count)
    save_transaction(db, grown)
    return grown


def expire_all(db: sqlite3.Connection, *, now: datetime) -> None:
    for transaction in transactions(db):
        save_transaction(db, replace(transaction, expires_at=canonical(now - timedelta(seconds=1))))
