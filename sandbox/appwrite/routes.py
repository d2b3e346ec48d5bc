"""The routes of the API."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from sandbox.appwrite import bulk_routes, column_routes, row_routes, table_routes, webhook_routes
from sandbox.appwrite.call import Call, Reply, valid_id
from sandbox.appwrite.columns import KINDS
from sandbox.appwrite.dialects import Dialect
from sandbox.appwrite.errors import ApiError

Handler = Callable[[Call], Reply]

DATABASE = "/tablesdb/{database}"
TABLE = "/tablesdb/{database}/tables/{table}"
COLUMN = f"{TABLE}/columns/{{key}}"
ROW = f"{TABLE}/rows/{{row}}"

# A key needs the scope of one of these resources. The second ones are their older names.
ROWS = ("rows", "documents")
TABLES = ("tables", "collections")
COLUMNS = (*TABLES, "columns", "attributes")
INDEXES = (*TABLES, "indexes")
DATABASES = ("databases",)
WEBHOOKS = ("webhooks",)


@dataclass(frozen=True)
class Route:
    method: str
    pattern: str
    resources: tuple[str, ...]
    handler: Handler

    @property
    def scopes(self) -> list[str]:
        """A key needs one of them."""
        action = "read" if self.method == "GET" else "write"
        return [f"{resource}.{action}" for resource in self.resources] or ["public"]

    @property
    def is_public(self) -> bool:
        return not self.resources

    @property
    def is_for_rows(self) -> bool:
        return self.resources == ROWS

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


def database_health(call: Call) -> Reply:
    with call.store.read():
        return Reply(body={"total": 1, "statuses": [{"name": "console.database", "ping": 1, "status": "pass"}]})


ROUTES = [
    Route("GET", "/health/version", (), version),
    Route("GET", "/health/db", ("health",), database_health),
    Route("POST", "/tablesdb", DATABASES, table_routes.create_database),
    Route("GET", DATABASE, DATABASES, table_routes.get_database),
    Route("DELETE", DATABASE, DATABASES, table_routes.delete_database),
    Route("POST", f"{DATABASE}/tables", TABLES, table_routes.create_table),
    Route("GET", TABLE, TABLES, table_routes.get_table),
    Route("PUT", TABLE, TABLES, table_routes.update_table),
    Route("DELETE", TABLE, TABLES, table_routes.delete_table),
    Route("GET", f"{TABLE}/columns", COLUMNS, column_routes.list_columns),
    *[Route("POST", f"{TABLE}/columns/{kind}", COLUMNS, column_routes.column_creator(kind)) for kind in KINDS],
    Route("GET", COLUMN, COLUMNS, column_routes.get_column),
    Route("DELETE", COLUMN, COLUMNS, column_routes.delete_column),
    Route("GET", f"{TABLE}/indexes", INDEXES, column_routes.list_indexes),
    Route("POST", f"{TABLE}/indexes", INDEXES, column_routes.create_index),
    Route("GET", f"{TABLE}/indexes/{{key}}", INDEXES, column_routes.get_index),
    Route("GET", f"{TABLE}/rows", ROWS, row_routes.list_rows),
    Route("POST", f"{TABLE}/rows", ROWS, row_routes.create),
    Route("PUT", f"{TABLE}/rows", ROWS, bulk_routes.upsert_rows),
    Route("PATCH", f"{TABLE}/rows", ROWS, bulk_routes.update_rows),
    Route("DELETE", f"{TABLE}/rows", ROWS, bulk_routes.delete_rows),
    Route("GET", ROW, ROWS, row_routes.get_row),
    Route("PATCH", ROW, ROWS, row_routes.update_row),
    Route("DELETE", ROW, ROWS, row_routes.delete_row),
    Route("GET", "/webhooks", WEBHOOKS, webhook_routes.list_webhooks),
    Route("POST", "/webhooks", WEBHOOKS, webhook_routes.create_webhook),
    Route("PUT", "/webhooks/{webhook}", WEBHOOKS, webhook_routes.update_webhook),
]


def find_route(method: str, path: str, dialect: Dialect) -> tuple[Route, dict[str, str]]:
    """The route and its placeholders' values. Raises general_route_not_found."""
    for route in ROUTES:
        found = route.match(path) if route.method == method else None
        if found is not None and (route.resources != WEBHOOKS or dialect.keys_manage_webhooks):
            return route, found
    raise ApiError("general_route_not_found")


def refuse_bad_ids(placeholders: dict[str, str]) -> None:
    """Raises general_argument_invalid for an id that no resource can have."""
    for name, value in placeholders.items():
        if not valid_id(value):
            raise ApiError("general_argument_invalid", f"{name}Id")
