#!/usr/bin/env python3
"""Runs every command. A wrong argument, setting or database is one clear line and exit code 2, never a traceback."""

import errno
import os
import sys

# Errors of the machine, not of a command: a full or read-only disk.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def main() -> None:
    # What racepoll writes is for its owner alone, whatever the shell says.
    os.umask(0o077)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "racepoll_site.settings")
    _check_arguments_are_text()
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db.utils import DatabaseError

    from racepoll_site.database_errors import describe_database_error

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        _exit_with(str(error))
    except DatabaseError as error:
        problem = describe_database_error(error)
        if problem is None:
            raise
        setting = "DATABASE_URL" if settings.DATABASE_IS_NAMED else "RACEPOLL_VAR"
        _exit_with(f"{setting}: {problem}")
    except OSError as error:
        if error.errno not in DISK and not str(error.filename or "").startswith(f"{settings.VAR}{os.sep}"):
            raise
        _exit_with(f"RACEPOLL_VAR: {error.filename or 'the disk'}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit(130)


def _exit_with(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.exit(2)


def _check_arguments_are_text() -> None:
    for number, argument in enumerate(sys.argv[1:], start=1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            _exit_with(f"argument {number} is not UTF-8")


if __name__ == "__main__":
    main()
