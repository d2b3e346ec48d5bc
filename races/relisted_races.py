"""Finds the race that a provider lists again under a new id, after it dropped the old one."""

from collections.abc import Iterable
from datetime import date

from races.models import Race

CardPosition = tuple[str, int, str, str, date]  # provider, number, track, code and day


def relisted_races_of(races: Iterable[Race]) -> dict[int, Race]:
    """Maps a race's primary key to the newest other race of its provider at the same track, code, day and number.

    A race without such a race, or whose track, day or number is unknown, is missing from the result. Costs one query;
    the races should have `meeting` loaded.
    """
    positions = {race.pk: position for race in races if (position := _card_position(race))}
    found = Race.objects.filter(
        provider__in={provider for provider, *_ in positions.values()},
        number__in={number for _, number, *_ in positions.values()},
        meeting__name__in={track for _, _, track, *_ in positions.values()},
        meeting__racing_day__in={day for *_, day in positions.values()},
        off_card_since=None,
    ).select_related("meeting")
    by_position: dict[CardPosition | None, list[Race]] = {}
    for race in found.order_by("pk") if positions else ():
        by_position.setdefault(_card_position(race), []).append(race)
    others = {
        key: [race for race in by_position.get(position, ()) if race.pk != key] for key, position in positions.items()
    }
    return {key: same[-1] for key, same in others.items() if same}


def _card_position(race: Race) -> CardPosition | None:
    meeting = race.meeting
    if meeting is None or race.number is None or meeting.racing_day is None:
        return None
    return race.provider, race.number, meeting.name, meeting.code, meeting.racing_day
