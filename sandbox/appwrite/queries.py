"""Appwrite's JSON queries: read, checked against the columns, not yet run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.appwrite.columns import Column
from sandbox.appwrite.datetimes import parse
from sandbox.appwrite.errors import ApiError, JsonObject

MOST_QUERIES = 100
LONGEST_QUERY = 4096
MOST_VALUES = 500
# There is no largest limit: 10,000 rows come if 10,000 are asked for.
DEFAULT_LIMIT = 25
SYSTEM_FIELDS = ("$id", "$sequence", "$createdAt", "$updatedAt")
SELECTABLE = (*SYSTEM_FIELDS, "$permissions", "$databaseId", "$tableId", "*")

# Each filter with the number of values it takes; None is one or more.
ARITY: dict[str, int | None] = {
    "equal": None,
    "notEqual": 1,
    "lessThan": 1,
    "lessThanEqual": 1,
    "greaterThan": 1,
    "greaterThanEqual": 1,
    "isNull": 0,
    "isNotNull": 0,
}
# What the real server knows and this one does not: better refused than taken for a bad query.
NOT_IMPLEMENTED = (
    *("between", "notBetween", "startsWith", "notStartsWith", "endsWith", "notEndsWith", "contains"),
    *("notContains", "containsAny", "containsAll", "search", "notSearch", "regex", "exists", "notExists"),
    *("cursorBefore", "orderRandom"),
)


@dataclass(frozen=True)
class Filter:
    """A condition on an attribute, or `or`/`and` over parts."""

    method: str
    attribute: str = ""
    values: tuple[Any, ...] = ()
    parts: tuple["Filter", ...] = ()


@dataclass(frozen=True)
class Order:
    attribute: str
    descending: bool = False


@dataclass(frozen=True)
class Listing:
    """What a list of queries asks for."""

    filters: tuple[Filter, ...] = ()
    orders: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int | None = None
    cursor: str | None = None
    selection: frozenset[str] = field(default_factory=frozenset)


def invalid(detail: str) -> ApiError:
    return ApiError("general_query_invalid", detail)


def read_queries(texts: Any, columns: Mapping[str, Column]) -> Listing:
    """Raises general_argument_invalid for a bad form and general_query_invalid for a bad query."""
    if not isinstance(texts, list) or len(texts) > MOST_QUERIES:
        raise ApiError("general_argument_invalid", "queries")
    if not all(isinstance(text, str) and 1 <= len(text) <= LONGEST_QUERY for text in texts):
        raise ApiError("general_argument_invalid", "queries")
    listing = Listing()
    for query in map(_parse_query, texts):
        listing = _extend_listing(listing, query, columns)
    return listing


def _parse_query(text: str) -> JsonObject:
    try:
        query = json.loads(text)
    except ValueError as exc:
        raise invalid("not JSON") from exc
    return _check_form(query)


def _check_form(query: Any) -> JsonObject:
    if not isinstance(query, dict):
        raise invalid("must be an object")
    form = {"attribute": "", "values": [], **query}
    for name, kind in (("method", str), ("attribute", str), ("values", list)):
        if not isinstance(form.get(name), kind):
            raise invalid(f"{name} has the wrong type")
    return form


def _extend_listing(listing: Listing, query: JsonObject, columns: Mapping[str, Column]) -> Listing:
    """Of repeated limits, offsets and cursors the first one wins."""
    method, values = query["method"], query["values"]
    match method:
        case "limit":
            limit = _read_number(values, least=1)
            return listing if listing.limit else replace(listing, limit=limit)
        case "offset":
            offset = _read_number(values, least=0)
            return listing if listing.offset is not None else replace(listing, offset=offset)
        case "cursorAfter":
            if len(values) != 1 or not isinstance(values[0], str) or not values[0]:
                raise invalid("a cursor needs one id")
            return listing if listing.cursor else replace(listing, cursor=values[0])
        case "orderAsc" | "orderDesc":
            attribute = query["attribute"] or "$sequence"
            _refuse_unknown(attribute, columns)
            order = Order(attribute, descending=method == "orderDesc")
            return replace(listing, orders=(*listing.orders, order))
        case "select":
            return replace(listing, selection=listing.selection | _read_selection(values, columns))
        case _:
            return replace(listing, filters=(*listing.filters, _read_filter(query, columns)))


def _read_number(values: list[Any], *, least: int) -> int:
    """PHP takes "5" for 5, but not 1.5."""
    value = values[0] if len(values) == 1 else None
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if type(value) is not int or value < least:
        raise invalid(f"value must be a number of at least {least}")
    return value


def _read_selection(values: list[Any], columns: Mapping[str, Column]) -> frozenset[str]:
    if not values:
        raise invalid("select needs at least one column")
    for name in values:
        if name not in SELECTABLE and name not in columns:
            raise invalid(f"Attribute not found in schema: {name}")
    return frozenset(values)


def _refuse_unknown(attribute: str, columns: Mapping[str, Column]) -> None:
    if attribute not in SYSTEM_FIELDS and attribute not in columns:
        raise invalid(f"Attribute not found in schema: {attribute}")


def _read_filter(query: JsonObject, columns: Mapping[str, Column]) -> Filter:
    method, values, attribute = query["method"], query["values"], query["attribute"]
    if method in ("or", "and"):
        return Filter(method, parts=_read_parts(values, columns))
    if method in NOT_IMPLEMENTED:
        raise ApiError("sandbox_not_implemented", f"the query method {method}")
    if method not in ARITY:
        raise invalid(f"Invalid query method: {method}")
    arity = ARITY[method]
    if arity != 0 and (not values or arity not in (None, len(values)) or len(values) > MOST_VALUES):
        raise invalid(f"{method} has the wrong number of values")
    _refuse_unknown(attribute, columns)
    if arity != 0 and attribute in columns and columns[attribute].array:
        raise invalid(f"Cannot query {method} on a list")
    if not all(_fits_attribute(attribute, value, columns) for value in values):
        raise invalid(f'Query value is invalid for attribute "{attribute}"')
    return Filter(method, attribute, tuple(values))


def _read_parts(values: list[Any], columns: Mapping[str, Column]) -> tuple[Filter, ...]:
    if not all(isinstance(value, dict) for value in values):
        # The real server fails here instead of refusing.
        raise ApiError("general_unknown")
    if len(values) < 2:
        raise invalid("or/and need at least two queries")
    return tuple(_read_filter(_check_form(value), columns) for value in values)


def _fits_attribute(attribute: str, value: Any, columns: Mapping[str, Column]) -> bool:
    """Whether the attribute can be compared with the value."""
    if attribute in columns:
        kind = "text" if columns[attribute].is_text else columns[attribute].kind
    else:
        kind = {"$id": "text", "$sequence": "sequence"}.get(attribute, "datetime")
    match kind:
        case "text":
            return isinstance(value, str)
        case "sequence":
            return type(value) is int or (isinstance(value, str) and value.isdecimal())
        case "datetime":
            return isinstance(value, str) and _is_instant(value)
        case "boolean":
            return isinstance(value, bool)
        case "float":
            return type(value) in (int, float)
        case _:
            return type(value) is int


def _is_instant(text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True
