"""Lists that open quickly however many rows there are: at most ten thousand keys first, then one page of rows.

Django counts all rows and sorts all columns of all of them for one page. Here one query reads only the keys of the
first ten thousand rows in order, which an index can answer alone; it gives both the count and the page.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Page, Paginator
from django.db.models import Func, QuerySet
from django.http import HttpRequest

MAX_ROWS = 10_000


class CappedCount(int):
    """A count that stopped at its limit, shown as `10,000+`."""

    def __str__(self) -> str:
        return f"{int(self):,}+"


class KeyPaginator(Paginator):  # type: ignore[type-arg] # django's takes no argument at run time
    """Pages over the keys of the first ten thousand rows."""

    object_list: QuerySet[Any]

    @cached_property
    def keys(self) -> list[Any]:
        """The keys in the order of the list, one more than the limit if there are more."""
        return list(self.object_list.values_list("pk", flat=True)[: MAX_ROWS + 1])

    @cached_property
    def count(self) -> int:
        """How many rows there are, counted up to the limit."""
        return _capped_length(self.keys)

    def page(self, number: int | str) -> Page[Any]:
        """The rows of a page. Raises InvalidPage if there is no such page."""
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        last = first + self.per_page
        if last + self.orphans >= self.count:
            last = self.count
        return Page(self.object_list.filter(pk__in=self.keys[first:last]), number, self)


def _capped_length(keys: list[Any]) -> int:
    return len(keys) if len(keys) <= MAX_ROWS else CappedCount(MAX_ROWS)


def capped_count(rows: QuerySet[Any]) -> int:
    """How many rows there are, counted up to ten thousand."""
    return _capped_length(list(rows.values_list("pk", flat=True)[: MAX_ROWS + 1]))


class BoundedChangeList(ChangeList):
    """A list that takes every page from its paginator, and sorts only by the columns that its admin offers."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.show_all and self.can_show_all:
            self.result_list = self.queryset.filter(pk__in=self.paginator.keys)
        elif not self.multi_page:
            self.result_list = self.paginator.page(1).object_list

    def get_ordering_field(self, field_name: Any) -> Any:
        if self.sortable_by is not None and field_name not in self.sortable_by:
            return None
        return super().get_ordering_field(field_name)


class UnindexedColumn(Func):
    """A column whose own index SQLite does not use, because it does not know how many rows have a value.

    A filter by it reads along the index of the list's order, which holds the column too, instead of fetching and
    sorting all rows of a frequent value. PostgreSQL knows the values and chooses by itself.
    """

    template = "+%(expressions)s"
    arity = 1

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="%(expressions)s", **context)


def filter_by_scan(rows: QuerySet[Any], column: str, values: Iterable[Any] | QuerySet[Any]) -> QuerySet[Any]:
    """The rows whose column has one of the values, found along the list's order."""
    name = f"unindexed_{column}"
    matching: QuerySet[Any] = rows.alias(**{name: UnindexedColumn(column)}).filter(**{f"{name}__in": values})
    return matching
