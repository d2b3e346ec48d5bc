"""`manage.py finalize RACE --reason TEXT`: ends a race by hand."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from polling import clock, staff
from polling.management.doors import BAD_INPUT, races_named
from races.decisions import COMMAND


class Command(BaseCommand):
    help = "Finalizes a race: it is polled no more. The reason goes into the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("race", metavar="RACE", help="our id or the provider's")
        parser.add_argument("--reason", required=True, help="why, for the audit")

    def handle(self, *args: Any, **options: Any) -> None:
        if not (reason := options["reason"].strip()):
            raise CommandError("--reason must say something", returncode=BAD_INPUT)
        [race] = races_named([options["race"]])
        now = clock.now()
        changed = staff.finalize([race.pk], by=COMMAND, reason=reason, now=now)
        self.stdout.write(f"{race.name_at(now)}: {'finalized' if changed else 'was finalized already'}")
