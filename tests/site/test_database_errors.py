"""What a command says of an error of the database as a whole."""

import psycopg
import pytest
from django.db.utils import DatabaseError, DataError, IntegrityError, OperationalError, ProgrammingError

from racepoll_site.database_errors import describe_database_error


def _of_postgresql(cause: psycopg.Error) -> ProgrammingError:
    error = ProgrammingError(str(cause))
    error.__cause__ = cause
    return error


MISSING_TABLE = _of_postgresql(psycopg.errors.UndefinedTable('relation "r" does not exist\nLINE 1: SELECT "secret"'))
MISSING_COLUMN = _of_postgresql(psycopg.errors.UndefinedColumn('column "c" does not exist'))
MIGRATE = "the database lacks tables or columns: run `manage.py migrate`"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OperationalError("no such table: r"), f"{MIGRATE} (no such table: r)"),
        (OperationalError("table r has no column named c"), f"{MIGRATE} (table r has no column named c)"),
        (MISSING_TABLE, f'{MIGRATE} (relation "r" does not exist)'),
        (MISSING_COLUMN, f'{MIGRATE} (column "c" does not exist)'),
        (OperationalError("connection failed:\n refused"), "the database cannot be used: connection failed: refused"),
        (DatabaseError("file is not a database"), "the database cannot be used: file is not a database"),
        (_of_postgresql(psycopg.errors.SyntaxError("syntax error")), None),
        (IntegrityError("UNIQUE constraint failed"), None),
        (DataError("value too long"), None),
    ],
)  # fmt: skip
def test_an_error_of_the_whole_database_is_one_line_and_a_fault_of_ours_is_none(
    error: DatabaseError, words: str | None
) -> None:
    assert describe_database_error(error) == words
