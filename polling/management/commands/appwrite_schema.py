"""`manage.py appwrite_schema plan|apply|check`: the tables in Appwrite."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from polling.appwrite.api.client import connect
from polling.appwrite.schema import provision as schema
from polling.errors import PollingError
from polling.management.appwrite_errors import FAILED, failure, not_configured

WORK = {"plan": schema.plan, "apply": schema.apply, "check": schema.check}


class Command(BaseCommand):
    help = (
        "plan: shows what is wanting in Appwrite; check: and what is otherwise than declared; both end with exit code "
        "1 if anything is. apply: makes what is wanting, and makes or mends the webhook where APPWRITE_WEBHOOK_URL is "
        "set. No table is ever altered, nothing removed. Exit code 2: Appwrite is not configured, or refuses the key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=list(WORK))
        parser.add_argument(
            "--dry-run", action="store_true", help="apply: only say what would be made; exit code 0 whatever that is"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        what = options["what"]
        work = schema.plan if options["dry_run"] and what == "apply" else WORK[what]
        try:
            client = connect()
            if client is None:
                raise not_configured()
            said = work(client)
        except PollingError as error:
            raise failure(error) from error
        self._say(said, "nothing is wanting: the tables are as declared", verbosity=options["verbosity"])
        if said and what != "apply":
            wrong = "steps are wanting" if what == "plan" else "things are wanting or otherwise than declared"
            raise CommandError(f"{len(said)} {wrong} in Appwrite", returncode=FAILED)

    def _say(self, lines: list[str], otherwise: str, *, verbosity: int) -> None:
        for line in (lines or [otherwise]) if verbosity else ():
            self.stdout.write(line)
