"""`manage.py plan_day`: the requests that the imported card will need, minute by minute, and what if."""

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser

from polling import clock, dispatch, planning, providers
from polling.cadence import WIDEST_WINDOW, Cadence, read_windows
from polling.forecast import Assumptions, Entry, Load, Span, loads
from polling.management.arguments import argument_error, duration, quoted, quoted_path, text_of_file, whole_number
from polling.next_poll import RaceFacts
from polling.quota.request_budget import token_bucket
from races.models import Race, RaceQuerySet

DAY = timedelta(days=1)
MOST_A_MINUTE = 60_000  # as POLL_REQUESTS_A_MINUTE


class Command(BaseCommand):
    help = (
        "Adds up the requests that each provider will get for the imported card: per minute, at the peak, in all, "
        "and against its quota. Without --date: the next 24 hours."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--date", help="a racing day, YYYY-MM-DD: the whole day of its meetings, as if from its start"
        )
        parser.add_argument("--json", action="store_true", help="print it as JSON, with every minute")
        parser.add_argument(
            "--late", default="0s", help="what if races jump so long after their advertised start: 90s, 3m"
        )
        parser.add_argument("--quota", help="what if the quota were so many requests a minute")
        parser.add_argument(
            "--cadence", type=Path, metavar="FILE", help="what if the windows were those of a file: 60:300,…"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        what_if = _cadence_from(options["cadence"])
        quota = token_bucket().per_minute
        if options["quota"] is not None:
            quota = whole_number("--quota", str(options["quota"]), least=1, most=MOST_A_MINUTE)
        assume = Assumptions(late=duration("--late", options["late"], most=DAY), detail=settings.RACE_DETAIL)
        if options["date"] is None:
            entries, span = _next_day(what_if, now=clock.now())
        else:
            entries, span = _racing_day(options["date"], what_if, assume)
        found = loads(entries, span, quota=quota, max_batch=dispatch.max_batch, assume=assume)
        if options["json"]:
            self.stdout.write(json.dumps([_load_document(load, span) for load in found], indent=1))
            return
        self.stdout.write(f"from {span.since:%Y-%m-%d %H:%M} to {span.until:%Y-%m-%d %H:%M} UTC: {len(entries)} races")
        for load in found:
            self.stdout.write(_load_text(load, span))


def _races_to_poll() -> RaceQuerySet:
    """The races that are polled, in the order in which dispatch takes those that are equally near."""
    return Race.objects.exclude(provider_race_id="").filter(polling_paused=False).order_by("pk")


def _next_day(what_if: Cadence | None, *, now: datetime) -> tuple[list[Entry], Span]:
    """The races as they stand, those whose result will be polled again included."""
    ahead = _races_to_poll().open().filter(advertised_start__lt=now + DAY + WIDEST_WINDOW)
    races = [
        race
        for race in ahead | _races_to_poll().filter(next_poll_at__isnull=False)
        if race.next_poll_at or race.advertised_start < now + DAY + _cadence_for(race, what_if).windows[0].opens
    ]
    facts = planning.standing_facts(races)
    return [_forecast_entry(race, facts[race.pk], what_if, known_at=now) for race in races], Span(now, now + DAY)


def _racing_day(text: str, what_if: Cadence | None, assume: Assumptions) -> tuple[list[Entry], Span]:
    """The races of a racing day as if it had not begun, and the time in which any of them is polled."""
    try:
        races = list(_races_to_poll().filter(meeting__racing_day=date.fromisoformat(text)))
    except ValueError:
        raise argument_error(f"--date is {quoted(text)}, not YYYY-MM-DD") from None
    if not races:
        raise CommandError(f"no race of {text} has been imported")
    cadences = [(race, _cadence_for(race, what_if)) for race in races]
    since = min(cadence.anchor(race.advertised_start) - cadence.windows[0].opens for race, cadence in cadences)
    until = max(race.advertised_start for race in races) + assume.late + DAY / 4
    entries = []
    for race in races:
        interval = planning.min_interval_of(race.provider)
        facts = RaceFacts(race.advertised_start, waiting=True, min_interval=interval)
        entry = _forecast_entry(race, facts, what_if, known_at=since)
        entries.append(replace(entry, ends_at=race.finalized_at, has_detail=False))
    return entries, Span(since, until)


def _cadence_for(race: Race, what_if: Cadence | None) -> Cadence:
    return what_if or planning.cadence_of(race)


def _forecast_entry(race: Race, facts: RaceFacts, what_if: Cadence | None, *, known_at: datetime) -> Entry:
    scope, has_detail = providers.capabilities_of(race.provider).batch_scope, bool(race.content_hash)
    return Entry(race.provider, facts, known_at, _cadence_for(race, what_if), has_detail=has_detail, scope=scope)


def _cadence_from(file: Path | None) -> Cadence | None:
    """The windows of a file, for every race; None where each race has its own cadence."""
    if file is None:
        return None
    try:
        return Cadence(read_windows(text_of_file("--cadence", file)), settings.POLL_TICK, settings.POLL_HOLD)
    except ValueError as error:
        raise argument_error(f"--cadence: {quoted_path(file)} makes no grid: {error}") from error


def _quota_share(load: Load, span: Span) -> float:
    return load.requests / (load.quota * ((span.until - span.since) / timedelta(minutes=1)))


def _load_text(load: Load, span: Span) -> str:
    minute, most = load.peak
    when = f" at {minute:%H:%M} UTC" if minute else ""
    over = (
        f"{len(load.over)} minutes above it, by {sum(load.over.values())} requests" if load.over else "never above it"
    )
    asked = f"{load.races} races, {load.polls} polls in {load.requests} requests; at most {most} a minute{when}"
    return f"{load.provider}: {asked}; quota {load.quota} a minute, {_quota_share(load, span):.1%} used, {over}"


def _load_document(load: Load, span: Span) -> dict[str, Any]:
    minute, most = load.peak
    return {
        "provider": load.provider,
        "since": span.since.isoformat(),
        "until": span.until.isoformat(),
        "races": load.races,
        "polls": load.polls,
        "requests": load.requests,
        "peak": {"minute": minute.isoformat() if minute else None, "requests": most},
        "quota": {"a_minute": load.quota, "used": round(_quota_share(load, span), 4)},
        "over": {minute.isoformat(): more for minute, more in load.over.items()},
        "by_minute": {minute.isoformat(): asked for minute, asked in load.by_minute.items()},
    }
