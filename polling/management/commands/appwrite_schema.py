"""`manage.py appwrite_schema plan|apply`: the tables in Appwrite."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from polling.appwrite import schema
from polling.appwrite.client import connect
from polling.appwrite.doors import FAILED, failure, not_configured
from polling.errors import PollingError


class Command(BaseCommand):
    help = (
        "Shows what is wanting in Appwrite (exit code 1 if anything is), or makes it. Nothing is altered or removed. "
        "Exit code 2: Appwrite is not configured, or refuses the key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["plan", "apply"])

    def handle(self, *args: Any, **options: Any) -> None:
        look = schema.plan if options["what"] == "plan" else schema.apply
        try:
            client = connect()
            if client is None:
                raise not_configured()
            steps = look(client)
        except PollingError as error:
            raise failure(error) from error
        self._say(steps, "nothing is wanting: the tables are as declared", verbosity=options["verbosity"])
        if steps and options["what"] == "plan":
            raise CommandError(f"{len(steps)} steps are wanting in Appwrite", returncode=FAILED)

    def _say(self, lines: list[str], otherwise: str, *, verbosity: int) -> None:
        for line in (lines or [otherwise]) if verbosity else ():
            self.stdout.write(line)
