"""The tables on a race's page: runners, results, dividends, polls and decisions."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from polling.admin import formats
from polling.admin.base import may_view
from polling.admin.formats import NOTHING
from polling.admin.table import Table
from polling.models import PollLog
from races.models import PriceChange, Race, Runner
from races.snapshots import Label

NEWEST = 50


def tables_of_race(request: HttpRequest, race: Race) -> list[Table]:
    """The tables that this user may see, in at most six queries; polls and decisions need a permission."""
    opening = PriceChange.objects.filter(runner=OuterRef("pk"), fixed_win__isnull=False).order_by("observed_at")
    runners = list(race.runners.annotate(opening_price=Subquery(opening.values("fixed_win")[:1])))
    tables = [
        _runner_table(race, runners),
        _result_table(race, {runner.label: runner.name for runner in runners}),
        _dividend_table(race),
    ]
    if may_view(request, PollLog):
        tables.append(_poll_table(race))
    if may_view(request, LogEntry):
        tables.append(_decision_table(race))
    return tables


def _runner_table(race: Race, runners: Sequence[Runner]) -> Table:
    headers = (
        "No.", "Runner", "Barrier", "Jockey", "Trainer", "Opened", "Fixed win", "Fixed place", "Tote win", "Tote place",
    )  # fmt: skip
    rows = []
    for runner in runners:
        odds = (
            vars(runner)["opening_price"], runner.fixed_win, runner.fixed_place, runner.tote_win, runner.tote_place,
        )  # fmt: skip
        shown_odds = (NOTHING if price is None else f"{price:.2f}" for price in odds)
        person = (_runner_name(runner, race), _or_nothing(runner.barrier), runner.jockey, runner.trainer)
        rows.append((runner.label, *person, *shown_odds))
    return Table("runners", "Runners", headers, rows, "The provider has reported no runners yet.")


def _runner_name(runner: Runner, race: Race) -> SafeString:
    """The name, struck out with a badge and the time if the runner was scratched or left the field."""
    reasons = (("scratched", runner.scratched_at), ("not in the field since", runner.absent_since))
    badges = [
        (formats.badge(word, formats.WARNING), formats.local_time(at, race.zone, "%H:%M")) for word, at in reasons if at
    ]
    name = format_html("<s>{}</s>" if badges else "{}", runner.name)
    return format_html("{}{}", name, format_html_join("", " {} {}", badges))


def _result_table(race: Race, names: dict[Label, str]) -> Table:
    shared = Counter(result["position"] for result in race.results)
    rows = [
        (
            _place_text(result, shared),
            result["runner_number"],
            result["name"] or names.get(result["runner_number"], NOTHING),
            _or_nothing(result["margin"]),
        )
        for result in sorted(race.results, key=lambda result: (result["position"] is None, result["position"] or 0))
    ]
    title = format_html("Results {}", formats.result_badge(race.result_state))
    return Table("results", title, ("Place", "No.", "Runner", "Margin (lengths)"), rows, "There is no result yet.")


def _place_text(result: dict[str, Any], shared: Counter[int]) -> str:
    """`1`, `1 dead heat`, or the code of a runner that was not placed."""
    place = result["position"]
    if place is None:
        return result["code"] or NOTHING
    return f"{place} dead heat" if shared[place] > 1 else str(place)


def _dividend_table(race: Race) -> Table:
    rows = [
        (
            dividend["pool"],
            dividend["product"],
            NOTHING.join(map(str, dividend["selection"])),
            dividend["amount"],
            formats.result_badge(dividend["state"]),
        )
        for dividend in race.dividends
    ]
    headers = ("Pool", "Product", "Selection", "Per 1.00", "State")
    return Table("dividends", "Dividends", headers, rows, "No dividends have been reported.")


def _poll_table(race: Race) -> Table:
    zone = race.zone
    rows = [
        (
            format_html(
                '<a href="{}">{}</a>',
                reverse("admin:polling_polllog_change", args=[log.pk]),
                formats.local_time(log.slot_at, zone, "%a %H:%M:%S %Z"),
            ),
            f"{log.trigger} {log.requested_by}",
            formats.poll_badge(log.state, log.reason, log.error_class),
            formats.precise_duration(log.lateness),
            formats.precise_duration(log.duration),
            _or_nothing(log.http_status),
            log.message,
            "changed" if log.changed else NOTHING,
        )
        for log in PollLog.objects.filter(race=race)[:NEWEST]
    ]
    headers = ("Slot", "Trigger", "State", "Late by", "Took", "HTTP", "Error", "Changed")
    return Table("polls", f"Polls, the newest {NEWEST}", headers, rows, "It has not been polled yet.")


def _decision_table(race: Race) -> Table:
    of_race = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(Race), object_id=str(race.pk))
    rows = [
        (formats.local_time(entry.action_time, race.zone), entry.user.get_username(), entry.get_change_message())
        for entry in of_race.select_related("user").order_by("-action_time", "-pk")[:NEWEST]
    ]
    return Table("decisions", "Decisions", ("When", "Who", "What"), rows, "Nobody has decided anything about it.")


def _or_nothing(value: object) -> object:
    return NOTHING if value is None else value
