"""The race that a record of the sync is about. The record has its key alone, so that it outlives the race."""

from datetime import UTC, date, datetime
from typing import Any, TypeVar

from django.db.models import Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from races.models import Meeting, Race
from races.search import search_races

M = TypeVar("M", bound=Model)
MOST_RACES = 500


def with_race(rows: QuerySet[M], key: str) -> QuerySet[M]:
    """The rows with `race`, what there is to say of the race of this key, or None; it costs no further query."""
    told = JSONObject(
        pk="pk",
        number="number",
        provider="provider",
        name="name",
        version="version",
        start="advertised_start",
        track="meeting__name",
        day="meeting__racing_day",
    )
    annotated: QuerySet[Any] = rows.annotate(race=Subquery(Race.objects.filter(pk=OuterRef(key)).values(told=told)[:1]))
    return annotated


def found_by(rows: QuerySet[M], text: str, key: str, row_id: str, *, today: date) -> QuerySet[M]:
    """The rows of the races that a text means, or whose ids in Appwrite begin so; all where the text is empty."""
    if not text.strip():
        return rows
    races = search_races(Race.objects.all(), text, today=today).order_by("-advertised_start")
    newest = list(races.values_list("pk", flat=True)[:MOST_RACES])
    return rows.filter(Q(**{f"{key}__in": newest}) | Q(**{f"{row_id}__istartswith": text.strip()}))


def race_of(row: Model) -> Race | None:
    """As much of the race as `with_race` has put on the row."""
    told = vars(row)["race"]
    if told is None:
        return None
    facts = {name: told[name] for name in ("pk", "number", "provider", "name", "version")}
    day = date.fromisoformat(told["day"]) if told["day"] else None
    meeting = Meeting(name=told["track"], racing_day=day) if told["track"] else None
    return Race(**facts, advertised_start=_utc(told["start"]), meeting=meeting)


def _utc(written: str) -> datetime:
    """An instant as a database writes it into JSON; SQLite leaves the zone out."""
    instant = datetime.fromisoformat(written)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def remembered(words: str) -> str:
    """The race that a conflict was about, by the words kept of it, which name the id of its row as well."""
    return words.partition(", row ")[0] or "a race that is gone"


def linked(row: Model, *, gone: str = "") -> SafeString:
    """The race with a link to its page, or `gone`, what is remembered of it."""
    race = race_of(row)
    if race is None:
        return format_html("{}", remembered(gone))
    url = reverse("admin:races_race_change", args=[race.pk])
    return format_html('<a href="{}">{}</a> <span class="rp-quiet">{}</span>', url, race, race.name)
