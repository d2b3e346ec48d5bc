"""`manage.py sync push|pull|sweep|status`: one pass of the sync with Appwrite by hand, its plan, or its status."""

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from polling import clock
from polling.appwrite import checkpoints, status, sync_state
from polling.appwrite.pull import run as pull
from polling.appwrite.push import run as push
from polling.appwrite.status import SyncStatus
from polling.appwrite.sweep import run as sweep
from polling.errors import PollingError
from polling.management.appwrite_errors import failure, not_configured
from polling.management.arguments import argument_error
from polling.management.exit_codes import FAILED

BUDGET = timedelta(minutes=10)
PASSES: dict[str, Any] = {"push": push.run, "pull": pull.run, "sweep": sweep.run}
PREVIEWS = {"push": push.preview, "pull": pull.preview, "sweep": sweep.preview}
COUNTS = ("rows", "in_sync", "dirty", "in_flight", "waiting", "missing", "dead", "unmatched_rows")


class Command(BaseCommand):
    help = (
        "Sends what changed to Appwrite (push), fetches what changed there (pull), compares every row (sweep), or "
        "prints how the sync stands without asking Appwrite (status). Exit code 1: the server could not be reached, "
        "or by status a row is dead, deletions are stopped or a pass fails; 2: Appwrite is not configured, or refuses "
        "us."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("way", choices=["push", "pull", "sweep", "status"])
        parser.add_argument("--json", action="store_true", help="print the counts, or the plan, as JSON")
        parser.add_argument("--dry-run", action="store_true", help="print the plan, one line per row, and do nothing")
        parser.add_argument("--retry-dead", action="store_true", help="push: also try dead rows again")
        parser.add_argument(
            "--release", action="store_true", help="sweep: lift the deletion guard, after a look at what was deleted"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.APPWRITE_ENDPOINT:
            raise not_configured()
        way, now = options["way"], clock.now()
        for option, its_way in (("retry_dead", "push"), ("release", "sweep")):
            if options[option] and way != its_way:
                raise argument_error(f"--{option.replace('_', '-')} is for {its_way} alone")
        if way == "status":
            self._print_status(status.numbers(now=now), as_json=options["json"])
        elif options["dry_run"]:
            self._print_plan(way, as_json=options["json"], now=now)
        else:
            self._run_pass(way, options, now=now)

    def _run_pass(self, way: str, options: dict[str, Any], *, now: datetime) -> None:
        if way == "push":
            push.retry_now()  # a push by hand does not wait for a backoff to end
        if options["retry_dead"]:
            sync_state.requeue_dead()
        if options["release"]:
            checkpoints.release_deletions(sync_state.TABLE)
        done: Any = PASSES[way](now=now, budget=BUDGET)
        counts = {**asdict(done), "error": str(done.error or "")}
        if options["json"]:
            self.stdout.write(json.dumps(counts))
        else:
            flat = {**counts.get("races", {}), **counts}
            words = ", ".join(f"{count} {name}" for name, count in flat.items() if type(count) is int)
            self.stdout.write(f"{words} (another {way} is running)" if flat.get("busy") else words)
        if done.error:
            raise failure(done.error)
        if guarded := counts.get("deletion_guard"):
            raise CommandError(f"{guarded}; after a look at them: sync sweep --release", returncode=FAILED)

    def _print_plan(self, way: str, *, as_json: bool, now: datetime) -> None:
        try:
            lines = PREVIEWS[way](now=now)
        except PollingError as error:
            raise failure(error) from error
        self.stdout.write(json.dumps(lines) if as_json else "\n".join(lines or ["nothing to do"]))

    def _print_status(self, found: SyncStatus, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(found.as_dict(), cls=DjangoJSONEncoder))
        else:
            for table in found.tables:
                counts = ", ".join(f"{getattr(table, name)} {name.replace('_', ' ')}" for name in COUNTS)
                age = table.checkpoint_age_seconds
                since = "never" if age is None else f"{age:.0f} s ago"
                self.stdout.write(f"{table.table}: {counts}; checkpoint {since}")
            self.stdout.write(f"open conflicts: {found.open_conflicts}")
        if found.problems:
            raise CommandError("; ".join(found.problems), returncode=FAILED)
