"""`manage.py pause RACE… --reason TEXT` and `pause --all --reason TEXT`: stops polling of races, or all of it."""

from typing import Any

from django.core.management import BaseCommand, CommandParser

from polling import clock, global_pause, staff
from polling.management.arguments import add_races_or_all, argument_error, races_or_all
from races.decisions import COMMAND

MOST = 200  # characters, as the admin takes


class Command(BaseCommand):
    help = "Stops the polling of races until they are resumed, or all polling (--all). The reason goes into the audit."

    def add_arguments(self, parser: CommandParser) -> None:
        add_races_or_all(parser)
        parser.add_argument("--reason", required=True, help="why; every page of the admin shows that of a global pause")

    def handle(self, *args: Any, **options: Any) -> None:
        reason = options["reason"].strip()
        if not reason or len(reason) > MOST or not reason.isprintable():
            raise argument_error(f"--reason must be one line of 1 to {MOST} characters")
        now, races = clock.now(), races_or_all(options)
        if not races:
            paused = global_pause.pause(by=COMMAND, reason=reason, now=now)
            self.stdout.write("all polling is paused" if paused else "all polling was paused already")
        changed = staff.pause([race.pk for race in races], by=COMMAND, reason=reason, now=now)
        for race in races:
            self.stdout.write(f"{race}: {'paused' if race.pk in changed else 'was paused already'}")
