"""`manage.py sync push|pull`: one pass of the sync with Appwrite by hand."""

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.management import BaseCommand, CommandParser

from polling import clock
from polling.appwrite import pull, push, states
from polling.appwrite.doors import failure, not_configured

PATIENCE = timedelta(minutes=10)


class Command(BaseCommand):
    help = (
        "Sends what changed to Appwrite, or fetches what changed there. "
        "Exit code 1: the server could not be reached; 2: Appwrite is not configured, or refuses us."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("way", choices=["push", "pull"])
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")
        parser.add_argument("--retry-dead", action="store_true", help="push: also try rows that were given up")

    def handle(self, *args: Any, **options: Any) -> None:
        done = (
            self._push(options["retry_dead"])
            if options["way"] == "push"
            else pull.run(now=clock.now(), budget=PATIENCE)
        )
        if not done.configured:
            raise not_configured()
        counts = {**asdict(done), "trouble": str(done.trouble or "")}
        del counts["configured"]
        self.stdout.write(json.dumps(counts) if options["json"] else _in_words(counts))
        if done.trouble:
            raise failure(done.trouble)

    def _push(self, retry_dead: bool) -> push.Pushed:
        push.insist()  # who asks by hand does not wait for a backoff to end
        if retry_dead:
            states.revive()
        return push.run(now=clock.now(), budget=PATIENCE)


def _in_words(counts: dict[str, Any]) -> str:
    flat = {**counts.pop("races", {}), **counts}
    busy = flat.pop("busy", False)
    del flat["trouble"]
    words = ", ".join(f"{count} {name}" for name, count in flat.items())
    return f"{words} (another push is under way)" if busy else words
