"""`manage.py sync push|pull|sweep|status`: one pass of the sync with Appwrite by hand, its plan, or how it stands."""

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
from polling.appwrite.status import SyncStatus, TableStatus
from polling.appwrite.sweep import run as sweep
from polling.errors import PollingError
from polling.management.appwrite_errors import FAILED, failure, not_configured
from polling.management.arguments import refusal

PATIENCE = timedelta(minutes=10)
PREVIEWS = {"push": push.preview, "pull": pull.preview, "sweep": sweep.preview}


class Command(BaseCommand):
    help = (
        "Sends what changed to Appwrite (push), fetches what changed there (pull), looks through all of it (sweep), "
        "or says how it stands without asking Appwrite (status). Exit code 1: the server could not be reached, or "
        "by status something is given up, held or failing; 2: Appwrite is not configured, or refuses us."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("way", choices=["push", "pull", "sweep", "status"])
        parser.add_argument("--json", action="store_true", help="print the counts, or the plan, as JSON")
        parser.add_argument("--dry-run", action="store_true", help="print the plan, a line per row, and do nothing")
        parser.add_argument("--retry-dead", action="store_true", help="push: also try rows that were given up")
        parser.add_argument("--release", action="store_true", help="sweep: a person has looked; make the rows again")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.APPWRITE_ENDPOINT:
            raise not_configured()
        way, now = options["way"], clock.now()
        for option, its_way in (("retry_dead", "push"), ("release", "sweep")):
            if options[option] and way != its_way:
                raise refusal(f"--{option.replace('_', '-')} is for {its_way} alone")
        if way == "status":
            self._status(status.numbers(now=now), as_json=options["json"])
        elif options["dry_run"]:
            self._plan(way, as_json=options["json"], now=now)
        else:
            self._run(way, options, now=now)

    def _run(self, way: str, options: dict[str, Any], *, now: datetime) -> None:
        done = RUNS[way](options, now)
        counts = {**asdict(done), "error": str(done.error or "")}
        self.stdout.write(json.dumps(counts) if options["json"] else _in_words({**counts, "way": way}))
        if done.error:
            raise failure(done.error)
        if counts.get("deletion_guard"):
            words = f"{counts['deletion_guard']}; once a person has looked: sync sweep --release"
            raise CommandError(words, returncode=FAILED)

    def _plan(self, way: str, *, as_json: bool, now: datetime) -> None:
        try:
            lines = PREVIEWS[way](now=now)
        except PollingError as error:
            raise failure(error) from error
        self.stdout.write(json.dumps(lines) if as_json else "\n".join(lines or ["nothing to do"]))

    def _status(self, told: SyncStatus, *, as_json: bool) -> None:
        words = "\n".join([*map(_standing, told.tables), f"open conflicts: {told.open_conflicts}"])
        self.stdout.write(json.dumps(told.as_dict(), cls=DjangoJSONEncoder) if as_json else words)
        if told.problems:
            raise CommandError("; ".join(told.problems), returncode=FAILED)


def _push(options: dict[str, Any], now: datetime) -> push.Pushed:
    push.retry_now()  # who asks by hand does not wait for a backoff to end
    if options["retry_dead"]:
        sync_state.revive()
    return push.run(now=now, budget=PATIENCE)


def _pull(options: dict[str, Any], now: datetime) -> pull.Pulled:
    return pull.run(now=now, budget=PATIENCE)


def _sweep(options: dict[str, Any], now: datetime) -> sweep.Swept:
    if options["release"]:
        checkpoints.release_deletions(sync_state.TABLE)
    return sweep.run(now=now, budget=PATIENCE)


RUNS: dict[str, Any] = {"push": _push, "pull": _pull, "sweep": _sweep}


def _standing(table: TableStatus) -> str:
    names = ("rows", "in_sync", "dirty", "in_flight", "waiting", "missing", "dead", "unmatched_rows")
    counts = ", ".join(f"{getattr(table, name)} {name.replace('_', ' ')}" for name in names)
    age = table.checkpoint_age_seconds
    return f"{table.table}: {counts}; checkpoint {'never' if age is None else f'{age:.0f} s ago'}"


def _in_words(counts: dict[str, Any]) -> str:
    flat = {**counts.get("races", {}), **counts}
    words = ", ".join(f"{count} {name}" for name, count in flat.items() if type(count) is int)
    return f"{words} (another {flat['way']} is under way)" if flat.get("busy") else words
