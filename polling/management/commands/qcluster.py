"""`manage.py qcluster`: the worker, one cluster a lane, under a supervisor."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandParser
from django.db import OperationalError, connection

from polling.dispatch import FAST_LANE
from polling.management.arguments import refusal, whole_number
from polling.models import PollLog
from polling.worker import supervisor


class Command(BaseCommand):
    help = (
        "Runs the worker: a cluster of processes for the queue, another for the last five minutes before a start "
        "where POLL_FAST_WORKERS is set. What dies or is stuck is started again; SIGTERM or Ctrl-C ends all of it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        inner = parser.add_argument_group("for the supervisor itself")
        inner.add_argument("--lane", metavar="NAME", choices=[supervisor.DEFAULT, FAST_LANE], help="be this lane")
        inner.add_argument("--pulse", metavar="FD", help="the pipe that tells it the lane is alive")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["lane"] is not None:
            from polling.worker import pool

            sys.exit(pool.run(pulse=_open_file("--pulse", options["pulse"])))
        _refuse_database_that_stays_unusable()
        lanes = [supervisor.DEFAULT, *([FAST_LANE] if settings.POLL_FAST_WORKERS else [])]
        self.stdout.flush()
        # The supervisor has no use for what Django has loaded: 40 MB.
        os.execv(sys.executable, [sys.executable, supervisor.__file__, *lanes])  # noqa: S606 - our own script


def _refuse_database_that_stays_unusable() -> None:
    """Raises DatabaseError for a file that cannot be opened and for tables that are missing; a server may come back."""
    try:
        PollLog.objects.exists()
    except OperationalError:
        if connection.vendor == "sqlite":
            raise
    finally:
        connection.close()


def _open_file(argument: str, text: str | None) -> int | None:
    if text is None:
        return None
    number = whole_number(argument, text, least=0, most=2**20)
    try:
        os.fstat(number)
    except OSError as error:
        raise refusal(f"{argument} is {number}, which is no open file") from error
    return number
