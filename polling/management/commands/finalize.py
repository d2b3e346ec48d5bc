"""`manage.py finalize RACE --reason TEXT [--outcome OUTCOME]`: finalizes a race by hand."""

from typing import Any

from django.core.management import BaseCommand, CommandParser

from polling import clock, staff
from polling.management.arguments import find_races, reason_of_decision
from races.decisions import COMMAND
from races.status import Outcome


class Command(BaseCommand):
    help = "Finalizes a race: it is polled no more. The reason goes into the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("race", metavar="RACE", help="our id or the provider's")
        parser.add_argument("--reason", required=True, help="why, for the audit")
        parser.add_argument(
            "--outcome",
            choices=[outcome.value for outcome in Outcome],
            help="how it ended; without it a race that has placings is resulted. It also corrects a finalized race",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        reason, now = reason_of_decision(options["reason"]), clock.now()
        outcome = Outcome(options["outcome"]) if options["outcome"] else None
        [race] = find_races([options["race"]])
        if race.is_before_start(now=now):
            start = f"{race.advertised_start:%Y-%m-%d %H:%M} UTC"
            self.stderr.write(f"{race.name_at(now)} has not started, its start is {start}: it is ended before it")
        changed = staff.finalize([race.pk], by=COMMAND, reason=reason, outcome=outcome, now=now)
        self.stdout.write(f"{race.name_at(now)}: {'finalized' if changed else 'was finalized already'}")
