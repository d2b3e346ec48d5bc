"""`manage.py reopen RACE --reason TEXT`: reopens a finalized race."""

from typing import Any

from django.core.management import BaseCommand, CommandParser

from polling import clock, staff
from polling.management.arguments import find_races, reason_of_decision
from races.decisions import COMMAND


class Command(BaseCommand):
    help = "Reopens a finalized race: it loses its outcome and is polled again. The reason goes into the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("race", metavar="RACE", help="our id or the provider's")
        parser.add_argument("--reason", required=True, help="why, for the audit")

    def handle(self, *args: Any, **options: Any) -> None:
        reason = reason_of_decision(options["reason"])
        [race] = find_races([options["race"]])
        now = clock.now()
        changed = staff.reopen([race.pk], by=COMMAND, reason=reason, now=now)
        self.stdout.write(f"{race.name_at(now)}: {'reopened' if changed else 'was not finalized'}")
