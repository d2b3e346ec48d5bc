"""`manage.py healthcheck`: whether the master tick lives; for systemd, containers and monitors."""

from datetime import timedelta
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from polling import clock
from polling.management.arguments import seconds_up_to_a_year
from polling.monitoring import heartbeat
from polling.monitoring.heartbeat import Condition


class Command(BaseCommand):
    help = (
        "Exit code 0 if a tick ended well lately, 1 if not, or if ticks come late time after time. "
        "An overdue tick is also logged, once, at ERROR."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--max-age",
            metavar="SECONDS",
            help="how old the last tick may be; by default two and a half slots",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        limit = heartbeat.overdue_after()
        if options["max_age"] is not None:
            limit = seconds_up_to_a_year("--max-age", str(options["max_age"]))
        now = clock.now()
        try:
            heartbeat.alert_if_overdue(now=now)
            last = heartbeat.last()
        except DatabaseError as error:
            raise CommandError(f"the database does not answer: {type(error).__name__}") from error
        if last is None:
            raise CommandError("no tick has ended well yet")
        words = f"the last tick ended well {max(now - last.at, timedelta()).total_seconds():.0f} s ago"
        condition = heartbeat.condition(last, limit=limit, now=now)
        if condition is Condition.OVERDUE:
            raise CommandError(f"{words}, more than {limit.total_seconds():g} s")
        if condition is Condition.LATE:
            raise CommandError(f"{words}, but ticks come late since {last.late_since:%Y-%m-%d %H:%M:%S} UTC")
        asleep = f"; nothing is due before {last.sleeping_until:%H:%M:%S} UTC" if last.sleeping_until else ""
        self.stdout.write(f"{words}{asleep}")
