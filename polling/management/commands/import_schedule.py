"""`manage.py import_schedule`: fetches the card now."""

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser

from polling import clock, importing
from polling.errors import PollingError
from polling.management.arguments import argument_error, quoted
from polling.providers import configured


class Command(BaseCommand):
    help = "Imports the card (races and starts) of each configured provider, 12 hours back and 36 ahead."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", help="only this one")

    def handle(self, *args: Any, **options: Any) -> None:
        names = [options["provider"]] if options["provider"] is not None else list(settings.RACE_PROVIDERS)
        if not names:
            raise argument_error("no provider is configured: name one in RACE_PROVIDERS")
        if not set(names) <= set(settings.RACE_PROVIDERS):
            what = f"the provider {quoted(options['provider'])}"
            raise argument_error(f"{what} is not configured; RACE_PROVIDERS names: {configured()}")
        for name in names:
            try:
                changes = importing.import_schedule(name, now=clock.now())
            except PollingError as error:
                raise CommandError(f"{name}: {type(error).__name__}: {error}") from error
            counts = f"{len(changes.races)} races, {len(changes.created)} new, {len(changes.changed)} changed"
            self.stdout.write(f"{name}: {counts}")
