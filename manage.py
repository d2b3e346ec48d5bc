#!/usr/bin/env python3
"""The door of every command. A mistake in what is given is one clear line and exit code 2, never a traceback."""

import errno
import os
import sys

# Of the machine, not of a command: a full or read-only disk.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def main() -> None:
    # What racepoll writes is for its owner alone, whatever the shell says.
    os.umask(0o077)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "racepoll_site.settings")
    _refuse_arguments_that_are_not_text()
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db.utils import DatabaseError

    from racepoll_site.database_errors import in_one_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        _refuse(str(error))
    except DatabaseError as error:
        words = in_one_line(error)
        if words is None:
            raise
        _refuse(f"{_setting_of_the_database()}: {words}")
    except OSError as error:
        if not _is_of_the_folder(error):
            raise
        _refuse(f"RACEPOLL_VAR: {error.filename or 'the disk'}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit(130)


def _refuse(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.exit(2)


def _refuse_arguments_that_are_not_text() -> None:
    for number, argument in enumerate(sys.argv[1:], start=1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            _refuse(f"argument {number} is not UTF-8")


def _setting_of_the_database() -> str:
    from django.conf import settings

    return "DATABASE_URL" if settings.DATABASE_IS_NAMED else "RACEPOLL_VAR"


def _is_of_the_folder(error: OSError) -> bool:
    from django.conf import settings

    return error.errno in DISK or str(error.filename or "").startswith(f"{settings.VAR}{os.sep}")


if __name__ == "__main__":
    main()
