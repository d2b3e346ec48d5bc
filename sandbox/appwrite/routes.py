"""The routes of the API."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from sandbox.appwrite import bulk_routes, column_routes, row_routes, table_routes, transaction_routes, webhook_routes
from sandbox.appwrite.call import Call, Reply, valid_id
from sandbox.appwrite.columns import KINDS
from sandbox.appwrite.dialects import Dialect
from sandbox.appwrite.errors import ApiError
from sandbox.appwrite.old_names import NEWER_SCOPES

Handler = Callable[[Call], Reply]

DATABASE = "/tablesdb/{database}"
TABLE = "/tablesdb/{database}/tables/{table}"

# What a key needs one of. documents.* opens rows, but not the other way round.
ROWS = ("rows", "documents")
TABLES = ("tables", "collections")
COLUMNS = (*TABLES, "columns", "attributes")
INDEXES = (*TABLES, "indexes")
DATABASES = ("databases",)
WEBHOOKS = ("webhooks",)
# In another order than for rows: guests are let through to the rows of tables, but not to transactions.
TRANSACTIONS = ("documents", "rows")
TRANSACTION = "/tablesdb/transactions/{transaction}"


@dataclass(frozen=True)
class Route:
    method: str
    pattern: str
    resources: tuple[str, ...]
    handler: Handler
    # What the route does inside a transaction, where that is something else.
    staging: Handler | None = None

    def carry_out(self, call: Call) -> Reply:
        handler = self.staging if self.staging is not None and call.transaction_id else self.handler
        return handler(call)

    def scopes_for(self, *, old_names: bool) -> list[str]:
        action = "read" if self.method == "GET" else "write"
        scopes = [f"{resource}.{action}" for resource in self.resources] or ["public"]
        return [scope for scope in scopes if not (old_names and scope.startswith(NEWER_SCOPES))]

    @property
    def open_to_guests(self) -> bool:
        """Guests get as far as the table's own permissions."""
        return self.resources in ((), ROWS)

    def known_to(self, dialect: Dialect) -> bool:
        if self.resources == WEBHOOKS:
            return dialect.keys_manage_webhooks
        return self.pattern.rpartition("/")[2] not in dialect.missing_columns

    def match(self, path: str) -> dict[str, str] | None:
        """The placeholders' values, or None for another route."""
        names, parts = self.pattern.split("/"), path.split("/")
        if len(names) != len(parts):
            return None
        found = {}
        for name, part in zip(names, parts, strict=True):
            if name.startswith("{"):
                found[name[1:-1]] = unquote(part)
            elif name != part:
                return None
        return found


def version(call: Call) -> Reply:
    return Reply(body={"version": call.dialect.version})


def health(call: Call) -> Reply:
    """Of the database behind the server."""
    with call.store.read():
        return Reply(body={"total": 1, "statuses": [{"name": "console.database", "ping": 1, "status": "pass"}]})


ROUTES = [
    Route("GET", "/health/version", (), version),
    Route("GET", "/health/db", ("health",), health),
    Route("GET", "/tablesdb/transactions", TRANSACTIONS, transaction_routes.list_transactions),
    Route("POST", "/tablesdb/transactions", TRANSACTIONS, transaction_routes.begin),
    Route("GET", TRANSACTION, TRANSACTIONS, transaction_routes.get_transaction),
    Route("PATCH", TRANSACTION, TRANSACTIONS, transaction_routes.end),
    Route("DELETE", TRANSACTION, TRANSACTIONS, transaction_routes.delete_transaction),
    Route("POST", f"{TRANSACTION}/operations", TRANSACTIONS, transaction_routes.stage_operations),
    Route("GET", "/tablesdb", DATABASES, table_routes.list_databases),
    Route("POST", "/tablesdb", DATABASES, table_routes.create_database),
    Route("GET", DATABASE, DATABASES, table_routes.get_database),
    Route("PUT", DATABASE, DATABASES, table_routes.update_database),
    Route("DELETE", DATABASE, DATABASES, table_routes.delete_database),
    Route("GET", f"{DATABASE}/tables", TABLES, table_routes.list_tables),
    Route("POST", f"{DATABASE}/tables", TABLES, table_routes.create_table),
    Route("GET", TABLE, TABLES, table_routes.get_table),
    Route("PUT", TABLE, TABLES, table_routes.update_table),
    Route("DELETE", TABLE, TABLES, table_routes.delete_table),
    Route("GET", f"{TABLE}/columns", COLUMNS, column_routes.list_columns),
    *[Route("POST", f"{TABLE}/columns/{kind}", COLUMNS, column_routes.creator(kind)) for kind in KINDS],
    Route("GET", f"{TABLE}/columns/{{key}}", COLUMNS, column_routes.get_column),
    Route("DELETE", f"{TABLE}/columns/{{key}}", COLUMNS, column_routes.delete_column),
    Route("GET", f"{TABLE}/indexes", INDEXES, column_routes.list_indexes),
    Route("POST", f"{TABLE}/indexes", INDEXES, column_routes.create_index),
    Route("GET", f"{TABLE}/indexes/{{key}}", INDEXES, column_routes.get_index),
    Route("DELETE", f"{TABLE}/indexes/{{key}}", INDEXES, column_routes.delete_index),
    Route("GET", f"{TABLE}/rows", ROWS, row_routes.list_rows),
    Route("POST", f"{TABLE}/rows", ROWS, row_routes.create, transaction_routes.stage_create),
    Route("PUT", f"{TABLE}/rows", ROWS, bulk_routes.upsert_rows, transaction_routes.stage_upserts),
    Route("PATCH", f"{TABLE}/rows", ROWS, bulk_routes.update_rows, transaction_routes.stage_updates),
    Route("DELETE", f"{TABLE}/rows", ROWS, bulk_routes.delete_rows, transaction_routes.stage_deletes),
    Route("GET", f"{TABLE}/rows/{{row}}", ROWS, row_routes.get_row),
    Route("PUT", f"{TABLE}/rows/{{row}}", ROWS, row_routes.upsert_row, transaction_routes.stage_upsert),
    Route("PATCH", f"{TABLE}/rows/{{row}}", ROWS, row_routes.update_row, transaction_routes.stage_update),
    Route("DELETE", f"{TABLE}/rows/{{row}}", ROWS, row_routes.delete_row, transaction_routes.stage_delete),
    Route("GET", "/webhooks", WEBHOOKS, webhook_routes.list_webhooks),
    Route("POST", "/webhooks", WEBHOOKS, webhook_routes.create_webhook),
    Route("GET", "/webhooks/{webhook}", WEBHOOKS, webhook_routes.get_webhook),
    Route("PUT", "/webhooks/{webhook}", WEBHOOKS, webhook_routes.update_webhook),
    Route("PATCH", "/webhooks/{webhook}/secret", WEBHOOKS, webhook_routes.update_secret),
    Route("DELETE", "/webhooks/{webhook}", WEBHOOKS, webhook_routes.delete_webhook),
]


def find_route(method: str, path: str, dialect: Dialect) -> tuple[Route, dict[str, str]]:
    """The route and its placeholders' values. Raises general_route_not_found."""
    for route in ROUTES:
        found = route.match(path) if route.method == method else None
        if found is not None and route.known_to(dialect):
            return route, found
    raise ApiError("general_route_not_found")


def refuse_bad_ids(placeholders: dict[str, str]) -> None:
    for name, value in placeholders.items():
        if not valid_id(value):
            raise ApiError("general_argument_invalid", f"{name}Id")
