"""Finds races by what their list shows, by a runner, or by the provider's id; meetings by track, day or id."""

from datetime import UTC, date, datetime, time, timedelta

from django.db.models import CharField, Q, QuerySet, Value
from django.db.models.functions import Concat

from races.case_folding import CaseFolded
from races.models import Meeting, Race, Runner
from races.search_text import SearchQuery, parse_search_text

MAX_RUNNERS = 2_000
LAST_CHARACTER = "\U0010ffff"


def search_races(races: QuerySet[Race], text: str, *, today: date) -> QuerySet[Race]:
    """Filters the races by a search text; an empty text finds all.

    A number after a track, with or without an R, is the race's number. Only if that finds no race and no track, it is
    taken for a part of a name (`Catch 22`).
    """
    query = parse_search_text(text, today=today)
    if not query.phrase:
        return races
    if query.may_be_id and (by_id := _races_with_id(races, query.phrase)) is not None:
        return by_id
    races = races.alias(spaced_name=Concat(Value(" "), "name", Value(" "), output_field=CharField()))
    found = races.filter(_matches_facts(query))
    if not query.has_taken_numbers or _names_a_track(query) or found.exists():
        return found
    return races.filter(_in_race_name(query.phrase) | Q(pk__in=_races_of_runner(query.phrase, whole_words=True)))


def search_meetings(meetings: QuerySet[Meeting], text: str, *, today: date) -> QuerySet[Meeting]:
    """Filters the meetings by a search text: words of the track, a day, or the start of the provider's id."""
    query = parse_search_text(text, today=today)
    if query.may_be_id:
        return meetings.filter(Q(provider_meeting_id__istartswith=query.phrase) | Q(name__icontains=query.phrase))
    found = meetings.filter(racing_day__in=query.days) if query.days else meetings
    words = [*query.words, *([] if query.number is None else [str(query.number)])]
    for word in words:
        found = found.filter(name__icontains=word)
    return found


def _races_with_id(races: QuerySet[Race], text: str) -> QuerySet[Race] | None:
    """The race with this provider id, or the races whose ids begin with it; None if there is none."""
    exact = races.filter(provider_race_id__iexact=text)
    if text.isdecimal() or exact.exists():
        return exact if exact.exists() else None
    beginning = races.filter(provider_race_id__istartswith=text)
    return beginning if beginning.exists() else None


def _matches_facts(query: SearchQuery) -> Q:
    """Matches number and day exactly, and the words: each in the track or race name, or all as a runner's beginning."""
    facts = Q()
    if query.number is not None:
        facts &= Q(number=query.number)
    if query.days:
        facts &= _starts_on(query.days)
    if query.words:
        named = Q()
        for word in query.words:
            in_track = Q(meeting__in=Meeting.objects.filter(name__icontains=word))
            named &= in_track | _in_race_name(word)
        facts &= named | Q(pk__in=_races_of_runner(" ".join(query.words)))
    return facts


def _starts_on(days: tuple[date, ...]) -> Q:
    """Matches races of meetings on these days; a race without a meeting's day by its start in UTC."""
    matching = Q(meeting__racing_day__in=days)
    for day in days:
        midnight = datetime.combine(day, time(), UTC)
        within = Q(advertised_start__gte=midnight, advertised_start__lt=midnight + timedelta(days=1))
        matching |= within & (Q(meeting=None) | Q(meeting__racing_day=None))
    return matching


def _names_a_track(query: SearchQuery) -> bool:
    if not query.words:
        return True  # a number or a day alone
    tracks = Meeting.objects.all()
    for word in query.words:
        tracks = tracks.filter(name__icontains=word)
    return tracks.exists()


def _in_race_name(text: str) -> Q:
    """Matches race names with the text; if it ends in a digit only as whole words, so that 5 is not found in 50."""
    return Q(spaced_name__icontains=f" {text} ") if text[-1].isdigit() else Q(name__icontains=text)


def _races_of_runner(name: str, *, whole_words: bool = False) -> list[int]:
    """Keys of races with a runner whose name begins so.

    Of very many runners the first by name count, so that a complete name is always found.
    """
    matching = _begins_with(name)
    if whole_words or name[-1].isdigit():
        matching = Q(folded=CaseFolded(Value(name))) | _begins_with(f"{name} ")
    runners = Runner.objects.alias(folded=CaseFolded("name")).filter(matching).order_by("folded")
    return list(set(runners.values_list("race", flat=True)[:MAX_RUNNERS]))


def _begins_with(name: str) -> Q:
    return Q(folded__gte=CaseFolded(Value(name)), folded__lt=CaseFolded(Value(name + LAST_CHARACTER)))
