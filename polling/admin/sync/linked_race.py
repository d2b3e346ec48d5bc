"""The race that a record of the sync is about. The record has only its key, so that it can outlive the race."""

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
MAX_RACES = 500


def with_race(rows: QuerySet[M], key: str) -> QuerySet[M]:
    """Annotates the rows with `race`: as JSON what `race_of` needs of the race of this key, or None."""
    facts = JSONObject(
        pk="pk",
        number="number",
        provider="provider",
        name="name",
        version="version",
        start="advertised_start",
        track="meeting__name",
        day="meeting__racing_day",
    )
    annotated: QuerySet[Any] = rows.annotate(
        race=Subquery(Race.objects.filter(pk=OuterRef(key)).values(facts=facts)[:1])
    )
    return annotated


def search_by_race(rows: QuerySet[M], text: str, key: str, row_id: str, *, today: date) -> QuerySet[M]:
    """The rows of races that the text finds, or whose ids in Appwrite begin with it; all if the text is empty."""
    if not text.strip():
        return rows
    races = search_races(Race.objects.all(), text, today=today).order_by("-advertised_start")
    newest = list(races.values_list("pk", flat=True)[:MAX_RACES])
    return rows.filter(Q(**{f"{key}__in": newest}) | Q(**{f"{row_id}__istartswith": text.strip()}))


def race_of(row: Model) -> Race | None:
    """The race as `with_race` annotated it: unsaved, with its name, version, start and meeting; None if it is gone."""
    facts = vars(row)["race"]
    if facts is None:
        return None
    own = {name: facts[name] for name in ("pk", "number", "provider", "name", "version")}
    day = date.fromisoformat(facts["day"]) if facts["day"] else None
    meeting = Meeting(name=facts["track"], racing_day=day) if facts["track"] else None
    start = datetime.fromisoformat(facts["start"])
    if start.tzinfo is None:  # SQLite leaves the zone out of an instant in JSON
        start = start.replace(tzinfo=UTC)
    return Race(**own, advertised_start=start, meeting=meeting)


def race_in(description: str) -> str:
    """The race in the description that a conflict keeps of its row: `Karewa Downs R2, row 3f…` gives the race."""
    return description.partition(", row ")[0] or "a race that is gone"


def race_link(row: Model, *, description: str = "") -> SafeString:
    """The race with a link to its page; if it is gone, its name in the description that was kept."""
    race = race_of(row)
    if race is None:
        return format_html("{}", race_in(description))
    url = reverse("admin:races_race_change", args=[race.pk])
    return format_html('<a href="{}">{}</a> <span class="rp-quiet">{}</span>', url, race, race.name)
