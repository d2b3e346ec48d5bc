"""A text without regard to capitals, in an order by which an index finds how it begins."""

from typing import Any

from django.db.models import CharField, Func


class CaseFolded(Func):
    """The text in capitals. PostgreSQL compares it by its bytes; other orders skip spaces and punctuation."""

    function = "UPPER"
    arity = 1
    output_field = CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template='%(function)s(%(expressions)s) COLLATE "C"', **context)
