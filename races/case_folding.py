"""Text without regard to capitals, ordered so that an index finds it by its beginning."""

from typing import Any

from django.db.models import CharField, Func


class CaseFolded(Func):
    """The text in capitals, compared on PostgreSQL by its bytes: other collations skip spaces and punctuation."""

    function = "UPPER"
    arity = 1
    output_field = CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template='%(function)s(%(expressions)s) COLLATE "C"', **context)
