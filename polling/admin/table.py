"""A table below or instead of a form, as `admin/table.html` draws it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """`empty` is shown if there are no rows; with `row_headers` the first cell of each row is its heading."""

    name: str
    title: str
    headers: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]
    empty: str = ""
    row_headers: bool = False
