"""Checked filters as SQL conditions on the rows table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.appwrite.collation import fold
from sandbox.appwrite.columns import Column
from sandbox.appwrite.datetimes import canonical, parse
from sandbox.appwrite.queries import Filter
from sandbox.appwrite.values import kept

SYSTEM_SQL = {
    "$id": "id_key",
    "$sequence": "sequence",
    "$createdAt": "created_at",
    "$updatedAt": "updated_at",
}
COMPARISONS = {
    "notEqual": "<>",
    "lessThan": "<",
    "lessThanEqual": "<=",
    "greaterThan": ">",
    "greaterThanEqual": ">=",
}
NULL_TESTS = {"isNull": "IS NULL", "isNotNull": "IS NOT NULL"}


@dataclass(frozen=True)
class Sql:
    """A condition and the values bound in it."""

    text: str
    values: tuple[Any, ...] = ()


def joined(parts: list[Sql], word: str) -> Sql:
    text = f" {word} ".join(f"({part.text})" for part in parts)
    return Sql(text, tuple(value for part in parts for value in part.values))


class Translator:
    """Turns filters on the given columns into SQL. Values are bound; keys were checked when declared."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = columns

    def expression(self, attribute: str) -> str:
        """What is compared and sorted: a system column, or a value out of the row's JSON."""
        if attribute in SYSTEM_SQL:
            return SYSTEM_SQL[attribute]
        value = f"json_extract(data, '$.\"{attribute}\"')"
        return f"fold({value})" if self.columns[attribute].is_text else value

    def bound(self, attribute: str, value: Any) -> Any:
        """A query's value in the form in which the expression of the attribute is stored."""
        if attribute == "$sequence":
            return int(value)
        column = self.columns.get(attribute)
        if attribute in ("$createdAt", "$updatedAt") or (column and column.kind == "datetime"):
            return canonical(parse(value))
        # A float is bound with as many digits as it was stored with.
        return fold(value) if isinstance(value, str) else kept(value, whole_floats=True)

    def condition(self, wanted: Filter) -> Sql:
        if wanted.parts:
            return joined([self.condition(part) for part in wanted.parts], wanted.method.upper())
        expression = self.expression(wanted.attribute)
        values = tuple(self.bound(wanted.attribute, value) for value in wanted.values)
        if wanted.method in NULL_TESTS:
            return Sql(f"{expression} {NULL_TESTS[wanted.method]}")
        if wanted.method == "equal":
            return Sql(f"{expression} IN ({', '.join('?' * len(values))})", values)
        return Sql(f"{expression} {COMPARISONS[wanted.method]} ?", values)
