"""`manage.py resume RACE…` and `resume --all`: polls races again, or lifts the global pause."""

from typing import Any

from django.core.management import BaseCommand, CommandParser

from polling import clock, global_pause, staff
from polling.management.arguments import add_races_or_all, races_or_all
from races.decisions import COMMAND


class Command(BaseCommand):
    help = "Polls races again that were paused, or lifts the pause of all polling (--all)."

    def add_arguments(self, parser: CommandParser) -> None:
        add_races_or_all(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        now, races = clock.now(), races_or_all(options)
        if not races:
            resumed = global_pause.resume(by=COMMAND, now=now)
            self.stdout.write("polling is resumed" if resumed else "polling was not paused")
        changed = staff.resume([race.pk for race in races], by=COMMAND, now=now)
        for race in races:
            self.stdout.write(f"{race}: {'resumed' if race.pk in changed else 'was not paused'}")
