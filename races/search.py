"""Finds races by what their list shows, by a runner, or by the provider's id."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import CharField, Q, QuerySet, Value
from django.db.models.functions import Concat

from races.folded import Folded
from races.models import Meeting, Race, Runner
from races.search_text import Sought, parse

LAST_CHARACTER = "\U0010ffff"


def races_found_by(races: QuerySet[Race], text: str, *, today: date) -> QuerySet[Race]:
    """Those of the races that are meant by the text; all where it is empty.

    A number after a track, with or without an R, is the race's number and nothing else. Only where no race and no
    track is meant is it taken for a part of a name (`Catch 22`).
    """
    sought = parse(text, today=today)
    if not sought.phrase:
        return races
    if sought.may_be_id and (of_id := _by_id(races, sought.phrase)) is not None:
        return of_id
    races = races.alias(spaced_name=Concat(Value(" "), "name", Value(" "), output_field=CharField()))
    meant = races.filter(_by_facts(sought))
    if not sought.has_taken_numbers or _names_a_track(sought) or meant.exists():
        return meant
    return races.filter(_in_race_name(sought.phrase) | Q(pk__in=_races_of_runner(sought.phrase, whole_words=True)))


def meetings_found_by(meetings: QuerySet[Meeting], text: str, *, today: date) -> QuerySet[Meeting]:
    """Those of the meetings that are meant by the text: words of the track, a day, or the provider's id."""
    sought = parse(text, today=today)
    if sought.may_be_id:
        return meetings.filter(Q(provider_meeting_id__istartswith=sought.phrase) | Q(name__icontains=sought.phrase))
    found = meetings.filter(racing_day__in=sought.days) if sought.days else meetings
    words = [*sought.words, *([] if sought.number is None else [str(sought.number)])]
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


def _by_facts(sought: Sought) -> Q:
    """Number and day exactly; and every word in the track or the race's name, or all of them a runner's beginning."""
    facts = Q()
    if sought.number is not None:
        facts &= Q(number=sought.number)
    if sought.days:
        facts &= _of_days(sought.days)
    if sought.words:
        named = Q()
        for word in sought.words:
            named &= _in_track(word) | _in_race_name(word)
        facts &= named | Q(pk__in=_races_of_runner(" ".join(sought.words)))
    return facts


def _of_days(days: tuple[date, ...]) -> Q:
    """Of meetings on these days; of races without one by their start in UTC."""
    wanted = Q(meeting__racing_day__in=days)
    for day in days:
        midnight = datetime.combine(day, time(), UTC)
        within = Q(advertised_start__gte=midnight, advertised_start__lt=midnight + timedelta(days=1))
        wanted |= within & (Q(meeting=None) | Q(meeting__racing_day=None))
    return wanted


def _names_a_track(sought: Sought) -> bool:
    if not sought.words:
        return True  # a number or a day alone
    tracks = Meeting.objects.all()
    for word in sought.words:
        tracks = tracks.filter(name__icontains=word)
    return tracks.exists()


def _in_track(word: str) -> Q:
    return Q(meeting__in=Meeting.objects.filter(name__icontains=word))


def _in_race_name(text: str) -> Q:
    """Whether the race's name has the text; one that ends in a digit as whole words, so that 5 is not found in 50."""
    return Q(spaced_name__icontains=f" {text} ") if text[-1].isdigit() else Q(name__icontains=text)


def _races_of_runner(name: str, *, whole_words: bool = False) -> QuerySet[Runner, Any]:
    """The races that a runner is in whose name begins so."""
    runners = Runner.objects.alias(folded=Folded("name"))
    begins = Q(folded__gte=Folded(Value(name)), folded__lt=Folded(Value(name + LAST_CHARACTER)))
    if whole_words or name[-1].isdigit():
        more = Q(folded__gte=Folded(Value(f"{name} ")), folded__lt=Folded(Value(f"{name} {LAST_CHARACTER}")))
        begins = Q(folded=Folded(Value(name))) | more
    return runners.filter(begins).values("race")
