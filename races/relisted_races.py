"""The race that a provider lists in place of one that it no longer knows."""

from collections.abc import Iterable
from datetime import date

from races.models import Race

Place = tuple[str, int, str, str, date]  # provider, number, track, code and day


def relisted_races_of(races: Iterable[Race]) -> dict[int, Race]:
    """Of each race, by primary key, the newest other one that its provider lists at the same track, day and number.

    Races without one are left out, as are those whose track, day or number are not known. One query; reads `meeting`.
    """
    places = {race.pk: place for race in races if (place := _place(race))}
    found = Race.objects.filter(
        provider__in={provider for provider, *_ in places.values()},
        number__in={number for _, number, *_ in places.values()},
        meeting__name__in={track for _, _, track, *_ in places.values()},
        meeting__racing_day__in={day for *_, day in places.values()},
        off_card_since=None,
    ).select_related("meeting")
    by_place: dict[Place | None, list[Race]] = {}
    for race in found.order_by("pk") if places else ():
        by_place.setdefault(_place(race), []).append(race)
    others = {key: [race for race in by_place.get(place, ()) if race.pk != key] for key, place in places.items()}
    return {key: same[-1] for key, same in others.items() if same}


def _place(race: Race) -> Place | None:
    meeting = race.meeting
    if meeting is None or race.number is None or meeting.racing_day is None:
        return None
    return race.provider, race.number, meeting.name, meeting.code, meeting.racing_day
