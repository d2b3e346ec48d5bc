"""`manage.py qcluster`: the worker, one or two pools of processes under a supervisor."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandParser
from django.db import OperationalError, connection

from polling.dispatch import FAST_POOL
from polling.management.arguments import argument_error, whole_number
from polling.models import PollLog
from polling.worker import supervisor


class Command(BaseCommand):
    help = (
        "Runs the worker: a pool of processes for the queue, another for the last five minutes before a start "
        "where POLL_FAST_WORKERS is set. What dies or is stuck is started again; SIGTERM or Ctrl-C ends all of it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        inner = parser.add_argument_group("for the supervisor itself")
        inner.add_argument("--pool", metavar="NAME", choices=[supervisor.DEFAULT, FAST_POOL], help="run this pool")
        inner.add_argument("--keepalive", metavar="FD", help="the pipe that shows it the pool is alive")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["pool"] is not None:
            from polling.worker import pool

            sys.exit(pool.run(keepalive_fd=_open_descriptor("--keepalive", options["keepalive"])))
        _require_usable_database()
        pools = [supervisor.DEFAULT, *([FAST_POOL] if settings.POLL_FAST_WORKERS else [])]
        self.stdout.flush()
        # The supervisor has no use for what Django has loaded: 40 MB.
        os.execv(sys.executable, [sys.executable, supervisor.__file__, *pools])  # noqa: S606 - our own script


def _require_usable_database() -> None:
    """Raises DatabaseError for a file that cannot be opened and for tables that are missing; a server may come back."""
    try:
        PollLog.objects.exists()
    except OperationalError:
        if connection.vendor == "sqlite":
            raise
    finally:
        connection.close()


def _open_descriptor(argument: str, text: str | None) -> int | None:
    if text is None:
        return None
    number = whole_number(argument, text, least=0, most=2**20)
    try:
        os.fstat(number)
    except OSError as error:
        raise argument_error(f"{argument} is {number}, which is no open file") from error
    return number
