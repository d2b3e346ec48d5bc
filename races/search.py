"""Finds races by what their list shows, by a runner, or by the provider's id."""

from datetime import UTC, date, datetime, time, timedelta

from django.db.models import CharField, Q, QuerySet, Value
from django.db.models.functions import Concat

from races.case_folding import CaseFolded
from races.models import Meeting, Race, Runner
from races.search_text import SearchQuery, parse_search_text

MOST_RUNNERS = 2_000
LAST_CHARACTER = "\U0010ffff"


def search_races(races: QuerySet[Race], text: str, *, today: date) -> QuerySet[Race]:
    """Those of the races that are meant by the text; all where it is empty.

    A number after a track, with or without an R, is the race's number and nothing else. Only where no race and no
    track is meant is it taken for a part of a name (`Catch 22`).
    """
    query = parse_search_text(text, today=today)
    if not query.phrase:
        return races
    if query.may_be_id and (of_id := _by_id(races, query.phrase)) is not None:
        return of_id
    races = races.alias(spaced_name=Concat(Value(" "), "name", Value(" "), output_field=CharField()))
    meant = races.filter(_by_facts(query))
    if not query.has_taken_numbers or _names_a_track(query) or meant.exists():
        return meant
    return races.filter(_in_race_name(query.phrase) | Q(pk__in=_races_of_runner(query.phrase, whole_words=True)))


def search_meetings(meetings: QuerySet[Meeting], text: str, *, today: date) -> QuerySet[Meeting]:
    """Those of the meetings that are meant by the text: words of the track, a day, or the provider's id."""
    query = parse_search_text(text, today=today)
    if query.may_be_id:
        return meetings.filter(Q(provider_meeting_id__istartswith=query.phrase) | Q(name__icontains=query.phrase))
    found = meetings.filter(racing_day__in=query.days) if query.days else meetings
    words = [*query.words, *([] if query.number is None else [str(query.number)])]
    for word in words:
        found = found.filter(name__icontains=word)
    return found


def _by_id(races: QuerySet[Race], text: str) -> QuerySet[Race] | None:
    """The race of this id of the provider, or those whose ids begin so; None where there is none."""
    exactly = races.filter(provider_race_id__iexact=text)
    if text.isdecimal() or exactly.exists():
        return exactly if exactly.exists() else None
    beginning = races.filter(provider_race_id__istartswith=text)
    return beginning if beginning.exists() else None


def _by_facts(query: SearchQuery) -> Q:
    """Number and day exactly; and every word in the track or the race's name, or all of them a runner's beginning."""
    facts = Q()
    if query.number is not None:
        facts &= Q(number=query.number)
    if query.days:
        facts &= _of_days(query.days)
    if query.words:
        named = Q()
        for word in query.words:
            named &= _in_track(word) | _in_race_name(word)
        facts &= named | Q(pk__in=_races_of_runner(" ".join(query.words)))
    return facts


def _of_days(days: tuple[date, ...]) -> Q:
    """Of meetings on these days; of races without one by their start in UTC."""
    wanted = Q(meeting__racing_day__in=days)
    for day in days:
        midnight = datetime.combine(day, time(), UTC)
        within = Q(advertised_start__gte=midnight, advertised_start__lt=midnight + timedelta(days=1))
        wanted |= within & (Q(meeting=None) | Q(meeting__racing_day=None))
    return wanted


def _names_a_track(query: SearchQuery) -> bool:
    if not query.words:
        return True  # a number or a day alone
    tracks = Meeting.objects.all()
    for word in query.words:
        tracks = tracks.filter(name__icontains=word)
    return tracks.exists()


def _in_track(word: str) -> Q:
    return Q(meeting__in=Meeting.objects.filter(name__icontains=word))


def _in_race_name(text: str) -> Q:
    """Whether the race's name has the text; one that ends in a digit as whole words, so that 5 is not found in 50."""
    return Q(spaced_name__icontains=f" {text} ") if text[-1].isdigit() else Q(name__icontains=text)


def _races_of_runner(name: str, *, whole_words: bool = False) -> list[int]:
    """The races of runners whose names begin so; of very many the first by the name, so that a whole name counts."""
    begins = _begins(name)
    if whole_words or name[-1].isdigit():
        begins = Q(folded=CaseFolded(Value(name))) | _begins(f"{name} ")
    runners = Runner.objects.alias(folded=CaseFolded("name")).filter(begins).order_by("folded")
    return list(set(runners.values_list("race", flat=True)[:MOST_RUNNERS]))


def _begins(name: str) -> Q:
    return Q(folded__gte=CaseFolded(Value(name)), folded__lt=CaseFolded(Value(name + LAST_CHARACTER)))
