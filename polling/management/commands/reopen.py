"""`manage.py reopen RACE --reason TEXT`: takes the end of a race back."""

from typing import Any

from django.core.management import BaseCommand, CommandParser

from polling import clock, staff
from polling.management.arguments import races_named, reason_given
from races.decisions import COMMAND


class Command(BaseCommand):
    help = "Reopens a finalized race: it loses its outcome and is polled again. The reason goes into the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("race", metavar="RACE", help="our id or the provider's")
        parser.add_argument("--reason", required=True, help="why, for the audit")

    def handle(self, *args: Any, **options: Any) -> None:
        reason = reason_given(options["reason"])
        [race] = races_named([options["race"]])
        now = clock.now()
        changed = staff.reopen([race.pk], by=COMMAND, reason=reason, now=now)
        self.stdout.write(f"{race.name_at(now)}: {'reopened' if changed else 'was not finalized'}")
