"""Checked filters as SQL conditions on the rows table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.appwrite.collation import fold, letters
from sandbox.appwrite.columns import Column
from sandbox.appwrite.datetimes import canonical, parse
from sandbox.appwrite.queries import RANDOM, Filter
from sandbox.appwrite.values import kept

SYSTEM_SQL = {
    "$id": "id_key",
    "$sequence": "sequence",
    "$createdAt": "created_at",
    "$updatedAt": "updated_at",
    RANDOM: "random()",
}
COMPARISONS = {
    "notEqual": "<>",
    "lessThan": "<",
    "lessThanEqual": "<=",
    "greaterThan": ">",
    "greaterThanEqual": ">=",
}
LIKENESS: dict[str, str] = {
    "startsWith": "substr({text}, 1, length(?1)) = ?1",
    "endsWith": "substr({text}, -length(?1)) = ?1",
    "contains": "instr({text}, ?1) > 0",
}


@dataclass(frozen=True)
class Sql:
    """A condition and the values bound in it."""

    text: str
    values: tuple[Any, ...] = ()


def joined(parts: list[Sql], word: str) -> Sql:
    text = f" {word} ".join(f"({part.text})" for part in parts)
    return Sql(text, tuple(value for part in parts for value in part.values))


def path(key: str) -> str:
    return f'$."{key}"'


class Translator:
    """Turns filters on the given columns into SQL. Values are bound; keys were checked when declared."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = columns

    def expression(self, attribute: str) -> str:
        """What is compared and sorted: a system column, or a value out of the row's JSON."""
        if attribute in SYSTEM_SQL:
            return SYSTEM_SQL[attribute]
        value = f"json_extract(data, '{path(attribute)}')"
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
        column = self.columns.get(wanted.attribute)
        if wanted.method == "contains" and column is not None and column.array:
            return _holds_any(wanted)
        if wanted.method in LIKENESS:
            return self._like(wanted)
        expression = self.expression(wanted.attribute)
        values = tuple(self.bound(wanted.attribute, value) for value in wanted.values)
        return _compared(wanted.method, expression, values)

    def _like(self, wanted: Filter) -> Sql:
        source = "id" if wanted.attribute == "$id" else f"json_extract(data, '{path(wanted.attribute)}')"
        form = LIKENESS[wanted.method].replace("{text}", f"letters({source})")
        values = [letters(value) for value in wanted.values]
        parts = [Sql(form.replace("?1", "?"), (value,) * form.count("?1")) for value in values]
        return joined(parts, "OR")


def _compared(method: str, expression: str, values: tuple[Any, ...]) -> Sql:
    if method in COMPARISONS:
        return Sql(f"{expression} {COMPARISONS[method]} ?", values)
    match method:
        case "equal":
            return Sql(f"{expression} IN ({', '.join('?' * len(values))})", values)
        case "between":
            return Sql(f"{expression} BETWEEN ? AND ?", values)
        case "notBetween":
            return Sql(f"{expression} NOT BETWEEN ? AND ?", values)
        case "isNull":
            return Sql(f"{expression} IS NULL")
        case _:
            return Sql(f"{expression} IS NOT NULL")


# Items of a list are compared byte by byte: MariaDB keeps lists as JSON.
def _holds_any(wanted: Filter) -> Sql:
    marks = ", ".join("?" * len(wanted.values))
    source = f"json_each(data, '{path(wanted.attribute)}')"
    return Sql(f"EXISTS (SELECT 1 FROM {source} WHERE value IN ({marks}))", wanted.values)  # noqa: S608
