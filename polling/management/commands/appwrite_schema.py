"""`manage.py appwrite_schema plan|apply|check`: the tables in Appwrite."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from polling.appwrite.api.client import connect
from polling.appwrite.schema import provision as schema
from polling.errors import PollingError
from polling.management.appwrite_errors import failure, not_configured
from polling.management.exit_codes import FAILED

ACTIONS = {"plan": schema.plan, "apply": schema.apply, "check": schema.check}


class Command(BaseCommand):
    help = (
        "plan: shows what is missing in Appwrite; check: also what differs from the declaration; both end with exit "
        "code 1 if anything is or does. apply: creates what is missing, and creates or updates the webhook where "
        "APPWRITE_WEBHOOK_URL is set. No table is ever altered, nothing removed. Exit code 2: Appwrite is not "
        "configured, or refuses the key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=list(ACTIONS))
        parser.add_argument(
            "--dry-run", action="store_true", help="apply: only print what would be created; exit code 0 in any case"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        action = options["action"]
        run = schema.plan if options["dry_run"] and action == "apply" else ACTIONS[action]
        try:
            client = connect()
            if client is None:
                raise not_configured()
            steps = run(client)
        except PollingError as error:
            raise failure(error) from error
        for line in (steps or ["nothing is missing: the tables are as declared"]) if options["verbosity"] else ():
            self.stdout.write(line)
        if steps and action != "apply":
            wrong = "steps are missing" if action == "plan" else "things are missing or differ from the declaration"
            raise CommandError(f"{len(steps)} {wrong} in Appwrite", returncode=FAILED)
