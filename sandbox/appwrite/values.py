"""Values of rows: what a column accepts, how it is kept and when two of them are the same."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.appwrite.columns import Column
from sandbox.appwrite.datetimes import EARLIEST, LATEST, canonical, parse
from sandbox.appwrite.errors import ApiError, JsonObject


class InvalidValue(ValueError):
    """A value that its column does not accept; the text says what it would accept."""


def encode_row(columns: Mapping[str, Column], data: JsonObject, *, now: datetime) -> JsonObject:
    """A whole row in canonical values; a null takes the default. Raises row_invalid_structure."""
    for key, column in columns.items():
        if column.required and data.get(key) is None:
            raise ApiError("row_invalid_structure", f'Missing required attribute "{key}"')
    return encode_columns(columns, {key: data.get(key) for key in (*columns, *data)}, now=now)


def encode_columns(columns: Mapping[str, Column], data: JsonObject, *, now: datetime) -> JsonObject:
    """Some columns of a row in canonical values. Raises row_invalid_structure."""
    for key in data:
        if key not in columns:
            raise ApiError("row_invalid_structure", f'Unknown attribute: "{key}"')
    return {key: _encode_value(columns[key], value, now=now) for key, value in data.items()}


def _encode_value(column: Column, value: Any, *, now: datetime) -> Any:
    given = column.default if value is None else value
    try:
        if given is None:
            if column.required:
                raise InvalidValue("Value must not be null")
            return [] if column.array else None
        if not column.array:
            return checked_item(column, given, now=now)
        if not isinstance(given, list):
            raise InvalidValue("Value must be an array")
        return [None if item is None else checked_item(column, item, now=now) for item in given]
    except InvalidValue as exc:
        message = f'Attribute "{column.key}" has invalid type. {exc}'
        raise ApiError("row_invalid_structure", message) from exc


def checked_item(column: Column, value: Any, *, now: datetime) -> Any:
    """One value, or one item of a list column, in canonical form. Raises InvalidValue."""
    bounds = f"between {column.minimum} and {column.maximum}"
    match column.kind:
        case "string" if isinstance(value, str) and len(value) <= column.size:
            return value
        case "string":
            raise InvalidValue(f"Value must be a valid string and no longer than {column.size} chars")
        case "enum" if value in column.elements:
            return value
        case "enum":
            raise InvalidValue(f"Value must be one of ({', '.join(column.elements)})")
        case "integer" if type(value) is int and column.minimum <= value <= column.maximum:
            return value
        case "integer":
            raise InvalidValue(f"Value must be an integer {bounds}")
        case "float" if type(value) in (int, float) and column.minimum <= value <= column.maximum:
            return float(value)
        case "float":
            raise InvalidValue(f"Value must be a float {bounds}")
        case "boolean" if isinstance(value, bool):
            return value
        case "boolean":
            raise InvalidValue("Value must be a valid boolean")
        case _:
            return _read_instant(value, now=now)


def _read_instant(value: Any, *, now: datetime) -> str:
    try:
        # PHP takes an empty text for the present instant.
        instant = now if value == "" else parse(value) if isinstance(value, str) else None
    except ValueError as exc:
        raise InvalidValue("Value must be a valid date") from exc
    if instant is None or not EARLIEST <= instant <= LATEST:
        raise InvalidValue("Value must be a valid date between 1000-01-01 and 9999-12-31")
    return canonical(instant)


def kept(value: Any, *, whole_floats: bool) -> Any:
    """A canonical value as it is read back later: floats keep 14 significant digits."""
    if isinstance(value, list):
        return [kept(item, whole_floats=whole_floats) for item in value]
    if not isinstance(value, float):
        return value
    # PHP hands floats to the database as text, with its default precision.
    rounded = float(f"{value:.14g}")
    return rounded if whole_floats else shown(rounded)


def shown(value: Any) -> Any:
    """A value as JSON shows it: PHP writes 3.0 as 3."""
    if isinstance(value, list):
        return [shown(item) for item in value]
    # From 1e17 on PHP too writes an exponent.
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e17:
        return int(value)
    return value


def identical(stored: Any, sent: Any) -> bool:
    """PHP's ===: a datetime in another form or 3 for 3.0 is not identical."""
    if isinstance(stored, list) and isinstance(sent, list):
        return len(stored) == len(sent) and all(map(identical, stored, sent))
    # True == 1 in Python, but not here.
    return type(stored) is type(sent) and bool(stored == sent)


def alike(stored: Any, sent: Any) -> bool:
    """PHP's == as far as valid values go: 3 is 3.0, and null is like an empty value."""
    if stored is None or sent is None:
        return not stored and not sent
    return bool(stored == sent)
