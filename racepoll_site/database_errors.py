"""Errors of the database as a whole, which no command can repair, in one line."""

from django.db.utils import DatabaseError, OperationalError, ProgrammingError

# PostgreSQL's codes of a table and of a column that does not exist; SQLite says it in words.
NO_TABLE_OR_COLUMN = ("42P01", "42703")
SQLITE_HAS_NONE = ("no such table", "no such column", "has no column named")


def describe_database_error(error: DatabaseError) -> str | None:
    """What is wrong with the database as a whole, in one line; None for an error that is a fault of the program."""
    words = " ".join(str(error).split())
    code = getattr(error.__cause__, "sqlstate", None)
    lacks_in_postgresql = isinstance(error, ProgrammingError) and code in NO_TABLE_OR_COLUMN
    lacks_in_sqlite = isinstance(error, OperationalError) and any(part in words for part in SQLITE_HAS_NONE)
    if lacks_in_postgresql or lacks_in_sqlite:
        return f"the database lacks tables or columns: run `manage.py migrate` ({words.partition(' LINE ')[0]})"
    # A file that is no database, or a damaged one, has no narrower class.
    if isinstance(error, OperationalError) or type(error) is DatabaseError:
        return f"the database cannot be used: {words}"
    return None
