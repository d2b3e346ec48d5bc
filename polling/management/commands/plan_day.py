"""`manage.py plan_day`: what the imported card will ask of its providers, minute by minute, and what if."""

import json
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser

from polling import clock, planning, providers
from polling.cadence import Cadence, read_windows
from polling.errors import Blocked
from polling.forecast import Assumptions, Entry, Load, Span, loads
from polling.management.doors import BAD_INPUT
from polling.quota import bucket
from races.models import Race

DAY = timedelta(days=1)
UNITS = {"s": 1, "m": 60, "h": 3600}


class Command(BaseCommand):
    help = (
        "Adds up, from the imported card, the requests that each provider will get: a minute, at the peak, in all, "
        "against its quota. Without --date: the next 24 hours."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--date", help="a racing day, YYYY-MM-DD: the whole day of its meetings, as if from its start"
        )
        parser.add_argument("--json", action="store_true", help="print it as JSON, with every minute")
        parser.add_argument(
            "--late", default="0s", help="what if races jump so long after their advertised start: 90s, 3m"
        )
        parser.add_argument("--quota", type=int, help="what if the quota were so many requests a minute")
        parser.add_argument(
            "--cadence", type=Path, metavar="FILE", help="what if the windows were those of a file: 60:300,…"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        cadence = _cadence(options["cadence"])
        quota = options["quota"] if options["quota"] is not None else bucket().per_minute
        if quota < 1:
            raise CommandError("--quota must be at least 1", returncode=BAD_INPUT)
        assume = Assumptions(late=_length(options["late"]), detail=settings.RACE_DETAIL)
        races, span = _card(options["date"], cadence, assume, now=clock.now())
        entries = [_entry(race, known_at=span.since) for race in races]
        found = loads(entries, cadence, span, quota=quota, max_batch=_max_batch(), assume=assume)
        if options["json"]:
            self.stdout.write(json.dumps([_document(load, span) for load in found], indent=1))
            return
        self.stdout.write(f"from {span.since:%Y-%m-%d %H:%M} to {span.until:%Y-%m-%d %H:%M} UTC: {len(entries)} races")
        for load in found:
            self.stdout.write(_words(load, span))


def _card(day: str | None, cadence: Cadence, assume: Assumptions, *, now: datetime) -> tuple[list[Race], Span]:
    """The races, and the time in which any of them is polled."""
    polled = Race.objects.exclude(provider_race_id="").filter(polling_paused=False).select_related("meeting")
    if day is None:
        return list(polled.open().filter(advertised_start__lt=now + DAY + cadence.windows[0].opens)), Span(
            now, now + DAY
        )
    try:
        races = list(polled.filter(meeting__racing_day=date.fromisoformat(day)).order_by("advertised_start"))
    except ValueError:
        raise CommandError(f"--date is {day!r}, not YYYY-MM-DD", returncode=BAD_INPUT) from None
    if not races:
        raise CommandError(f"no race of {day} has been imported")
    first, last = races[0].advertised_start, races[-1].advertised_start
    return races, Span(cadence.anchor(first) - cadence.windows[0].opens, last + assume.late + DAY / 4)


def _entry(race: Race, *, known_at: datetime) -> Entry:
    return Entry(
        race.provider, race.advertised_start, known_at, race.finalized_at, planning.min_interval(race.provider)
    )


def _max_batch() -> int:
    """The same for all, as their quota is."""
    try:
        return min(providers.get(name).capabilities.max_batch for name in settings.RACE_PROVIDERS)
    except (Blocked, ValueError):
        return 1


def _cadence(file: Path | None) -> Cadence:
    if file is None:
        return planning.cadence()
    try:
        return Cadence(read_windows(file.read_text().strip()), settings.POLL_TICK, settings.POLL_HOLD)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--cadence: {file} cannot be read: {type(error).__name__}", returncode=BAD_INPUT) from error
    except ValueError as error:
        raise CommandError(f"--cadence: {file} makes no grid: {error}", returncode=BAD_INPUT) from error


def _length(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,4})([smh])", text)
    if not match:
        raise CommandError(f"--late is {text!r}, not like 90s, 3m or 1h", returncode=BAD_INPUT)
    return timedelta(seconds=int(match[1]) * UNITS[match[2]])


def _share(load: Load, span: Span) -> float:
    return load.requests / (load.quota * ((span.until - span.since) / timedelta(minutes=1)))


def _words(load: Load, span: Span) -> str:
    minute, most = load.peak
    when = f" at {minute:%H:%M} UTC" if minute else ""
    over = (
        f"{len(load.over)} minutes above it, by {sum(load.over.values())} requests" if load.over else "never above it"
    )
    asked = f"{load.races} races, {load.polls} polls in {load.requests} requests; at most {most} a minute{when}"
    return f"{load.provider}: {asked}; quota {load.quota} a minute, {_share(load, span):.1%} used, {over}"


def _document(load: Load, span: Span) -> dict[str, Any]:
    minute, most = load.peak
    return {
        "provider": load.provider,
        "since": span.since.isoformat(),
        "until": span.until.isoformat(),
        "races": load.races,
        "polls": load.polls,
        "requests": load.requests,
        "peak": {"minute": minute.isoformat() if minute else None, "requests": most},
        "quota": {"a_minute": load.quota, "used": round(_share(load, span), 4)},
        "over": {minute.isoformat(): more for minute, more in load.over.items()},
        "by_minute": {minute.isoformat(): asked for minute, asked in load.by_minute.items()},
    }
