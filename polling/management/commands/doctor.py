"""`manage.py doctor`: whether everything is there that racepoll needs to run."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from polling import clock
from polling.health import doctor
from polling.management.exit_codes import FAILED


class Command(BaseCommand):
    help = (
        "Checks database, queue, ticks, providers and Appwrite, and prints one line for each. "
        "A row is written to Appwrite and removed again. Exit code 1: a check failed."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the findings as a JSON list")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = doctor.examine(now=clock.now())
        if options["json"]:
            self.stdout.write(json.dumps([asdict(finding) for finding in findings]))
        else:
            for finding in findings:
                self.stdout.write(f"{finding.state:<7}{finding.check}: {finding.words}")
        if failed := [finding.check for finding in findings if finding.state is doctor.State.FAILED]:
            words = f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}"
            raise CommandError(words, returncode=FAILED)
