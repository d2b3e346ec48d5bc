"""Appwrite's error types with their statuses and messages."""

from typing import Any

JsonObject = dict[str, Any]

# {id} is the quoted id, which only newer servers put in their messages; {detail} is always shown.
ERRORS: dict[str, tuple[int, str]] = {
    "general_argument_invalid": (400, "Invalid `{detail}` param."),
    "general_bad_request": (400, "{detail}"),
    "general_cursor_not_found": (400, "Cursor document '{detail}' for the 'cursor' value not found."),
    "general_query_invalid": (400, "Invalid query: {detail}"),
    "general_route_not_found": (404, "Not Found"),
    "general_unauthorized_scope": (401, "{detail}"),
    "general_unknown": (500, "Server Error"),
    "user_unauthorized": (401, "The current user is not authorized to perform the requested action."),
    "project_id_missing": (403, "Project ID is missing. Please set the X-Appwrite-Project header."),
    "project_not_found": (404, "Project with the requested ID{id} could not be found."),
    "database_not_found": (404, "Database{id} not found"),
    "database_already_exists": (409, "Database{id} already exists"),
    "database_query_order_null": (400, "The order column '{detail}' had a null value."),
    "table_not_found": (404, "Table with the requested ID{id} could not be found."),
    "table_already_exists": (409, "Table with the requested ID{id} already exists."),
    "column_not_found": (404, "Column with the requested ID{id} could not be found."),
    "column_not_available": (400, "The requested column{id} is not yet available."),
    "column_unknown": (400, "The column{id} required for the index could not be found."),
    "column_already_exists": (409, "Column with the requested key{id} already exists."),
    "column_default_unsupported": (400, "Cannot set default value for {detail} column"),
    "column_value_invalid": (400, "{detail}"),
    "column_limit_exceeded": (400, "The maximum number or size of columns for this table has been reached."),
    "column_index_not_found": (404, "Index with the requested ID{id} could not be found."),
    "column_index_already_exists": (409, "Index with the requested key{id} already exists."),
    "column_index_invalid": (400, "{detail}"),
    "index_invalid": (400, "{detail}"),
    "row_not_found": (404, "Row with the requested ID{id} could not be found."),
    "row_already_exists": (409, "Row with the requested ID{id} already exists."),
    "row_invalid_structure": (400, "Invalid document structure: {detail}"),
    "row_missing_data": (400, "The row data is missing."),
    "row_missing_payload": (400, "The row data and permissions are missing."),
    "row_update_conflict": (409, "Remote row is newer than local."),
    "webhook_not_found": (404, "Webhook with the requested ID{id} could not be found."),
    "webhook_already_exists": (409, "Webhook with the requested ID{id} already exists."),
    "sandbox_not_implemented": (501, "The stand-in does not know {detail}."),
}


class ApiError(Exception):
    """A refused request: an error type and the id or the explanation it is about."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    @property
    def status(self) -> int:
        return ERRORS[self.kind][0]

    def message(self, *, with_id: bool) -> str:
        shown_id = f" '{self.detail}'" if with_id and self.detail else ""
        return ERRORS[self.kind][1].format(id=shown_id, detail=self.detail)


def error_body(status: int, kind: str, message: str, version: str) -> JsonObject:
    return {"message": message, "code": status, "type": kind, "version": version}
