"""The legacy names: collections are tables, documents are rows, attributes are columns."""

from typing import Any

from sandbox.appwrite.errors import JsonObject

PATH = {"databases": "tablesdb", "collections": "tables", "documents": "rows", "attributes": "columns"}
SENT = {
    "documentId": "rowId",
    "documents": "rows",
    "collectionId": "tableId",
    "documentSecurity": "rowSecurity",
    "attributes": "columns",
}
TOLD = {
    "$tableId": "$collectionId",
    "rows": "documents",
    "tables": "collections",
    "columns": "attributes",
    "rowSecurity": "documentSecurity",
}
# The scopes that open only the newer routes.
NEWER_SCOPES = ("rows.", "tables.", "columns.")


def is_old(path: str) -> bool:
    return path.partition("?")[0].split("/")[1:2] == ["databases"]


def new_path(path: str) -> str:
    """Every second part of an address is a name, the others are ids."""
    parts = path.split("/")
    parts[1::2] = [PATH.get(part, part) for part in parts[1::2]]
    return "/".join(parts)


def new_body(body: JsonObject) -> JsonObject:
    operations = body.get("operations")
    renamed = _renamed(body, SENT)
    if isinstance(operations, list):
        renamed["operations"] = [_renamed(spec, SENT) if isinstance(spec, dict) else spec for spec in operations]
    return renamed


def old_body(body: JsonObject) -> JsonObject:
    """A reply; of a row only the name of its table changes, since its columns may have any name."""
    if "$databaseId" in body:
        return _renamed(body, {"$tableId": TOLD["$tableId"]})
    return {key: _old_value(value) for key, value in _renamed(body, TOLD).items()}


def _old_value(value: Any) -> Any:
    if isinstance(value, list):
        return [old_body(item) if isinstance(item, dict) else item for item in value]
    return value


def _renamed(body: JsonObject, names: dict[str, str]) -> JsonObject:
    return {names.get(key, key): value for key, value in body.items()}
