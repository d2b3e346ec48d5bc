"""Columns and indexes as requests declare them."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sandbox.appwrite import values
from sandbox.appwrite.call import read_flag, valid_id
from sandbox.appwrite.catalog import Index, Table
from sandbox.appwrite.columns import KINDS, Column
from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.errors import ApiError, JsonObject

# How long a new column or index stays "processing"; the real worker takes 0.3 to 1 s.
PROCESSING = timedelta(milliseconds=50)
LARGEST_STRING = 2**30
ROW_BYTES = 65535
# What the system columns take before the first of the table's own.
BASE_BYTES = 1067
MOST_COLUMNS = 1017
INDEX_TYPES = ("key", "unique", "fulltext", "spatial")
LONGEST_INDEX = 768
# The types that a table's inline columns may name (1.9), and the kinds they mean.
INLINE_TYPES = {
    **{kind: kind for kind in KINDS},
    "double": "float",
}
UNBOUNDED: dict[str, tuple[float, float]] = {
    "integer": (-(2**63), 2**63 - 1),
    "float": (-1.7976931348623157e308, 1.7976931348623157e308),
}


def declared_column(kind: str, body: JsonObject, *, now: datetime, ready: bool = False) -> Column:
    """A column as a request declares it; `ready` skips the time of processing."""
    lowest, highest = UNBOUNDED.get(kind, (0, 0))
    elements = body.get("elements") if kind == "enum" else []
    if not isinstance(elements, list) or not all(isinstance(element, str) for element in elements):
        raise ApiError("general_argument_invalid", "elements")
    column = Column(
        key=_read_key(body),
        kind=kind,
        required=read_flag(body, "required", False if ready else None),
        array=read_flag(body, "array", False),
        default=body.get("default"),
        size=_read_size(kind, body),
        minimum=_read_bound(kind, body, "min", lowest),
        maximum=_read_bound(kind, body, "max", highest),
        elements=tuple(elements),
        encrypt=read_flag(body, "encrypt", False),
        created_at=canonical(now),
        available_at=canonical(now if ready else now + PROCESSING),
    )
    _refuse_bad_default(column, now=now)
    return column


def _refuse_bad_default(column: Column, *, now: datetime) -> None:
    if column.minimum > column.maximum:
        raise ApiError("column_value_invalid", "Minimum value must be lesser than maximum value")
    if column.default is None:
        return
    if column.required or column.array:
        raise ApiError("column_default_unsupported", "required" if column.required else "array")
    try:
        values.checked_item(column, column.default, now=now)
    except values.InvalidValue as exc:
        raise ApiError("column_value_invalid", f"Default value is invalid. {exc}") from exc


def used_bytes(columns: Iterable[Column]) -> int:
    """How much of a row's 65,535 bytes the columns take."""
    return BASE_BYTES + sum(column.bytes for column in columns)


def refuse_full(columns: tuple[Column, ...]) -> None:
    if len(columns) > MOST_COLUMNS or used_bytes(columns) > ROW_BYTES:
        raise ApiError("column_limit_exceeded")


def declared_index(
    body: JsonObject, table: Table, *, now: datetime, names: str = "columns", ready: bool = False
) -> Index:
    """An index as a request declares it; `names` is the field with its columns: "attributes" in the request that
    creates the table too.
    """
    kind, keys, orders = body.get("type"), body.get(names), body.get("orders") or []
    if kind not in INDEX_TYPES:
        raise ApiError("general_argument_invalid", "type")
    if not isinstance(keys, list) or not keys:
        raise ApiError("general_argument_invalid", names)
    if not isinstance(orders, list) or not {"ASC", "DESC"}.issuperset(orders):
        raise ApiError("general_argument_invalid", "orders")
    _refuse_bad_index(table, keys, body.get("lengths") or [], now=now)
    return Index(
        key=_read_key(body),
        type=kind,
        columns=tuple(keys),
        orders=tuple(orders),
        error="",
        enforced=kind == "unique",
        created_at=canonical(now),
        available_at=canonical(now if ready else now + PROCESSING),
    )


def _refuse_bad_index(table: Table, keys: list[str], lengths: list[int | None], *, now: datetime) -> None:
    columns = {column.key: column for column in table.columns}
    used = [columns[key] for key in keys if key in columns]
    for key in keys:
        if key not in columns and key not in ("$id", "$createdAt", "$updatedAt"):
            raise ApiError("column_unknown", key)
    for column in used:
        if not column.available(now):
            raise ApiError("column_not_available", column.key)
        if column.array:
            raise ApiError("index_invalid", "Creating indexes on array columns is not currently supported.")
    # Without a length the whole text is indexed.
    limits = [*lengths, *[None] * len(used)]
    if sum(limit or column.size for column, limit in zip(used, limits, strict=False)) > LONGEST_INDEX:
        raise ApiError("column_index_invalid", "Index length is longer than the maximum: 768")


def _read_key(body: JsonObject) -> str:
    key = body.get("key")
    if not valid_id(key):
        raise ApiError("general_argument_invalid", "key")
    return str(key)


def _read_size(kind: str, body: JsonObject) -> int:
    if "size" not in KINDS[kind].fields:
        return KINDS[kind].size
    size = body.get("size")
    if type(size) is not int or not 1 <= size <= LARGEST_STRING:
        raise ApiError("general_argument_invalid", "size")
    return size


def _read_bound(kind: str, body: JsonObject, name: str, unbounded: float) -> float:
    value = body.get(name)
    if value is None or name not in KINDS[kind].fields:
        return unbounded
    if type(value) is not int and not (kind == "float" and isinstance(value, float)):
        raise ApiError("general_argument_invalid", name)
    return value
