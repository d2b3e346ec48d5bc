"""A race as a plain dictionary, for people and programs that read JSON."""

from typing import Any

from races.models import Race


def serialize_race(race: Race) -> dict[str, Any]:
    """Every field of the race, its track and racing day, and its runners; datetimes and decimals as stored."""
    fields = {field.name: getattr(race, field.attname) for field in race._meta.concrete_fields}
    runners = [
        {field.name: getattr(runner, field.attname) for field in runner._meta.concrete_fields if field.name != "race"}
        for runner in race.runners.all()
    ]
    track = race.meeting.name if race.meeting else ""
    return {**fields, "track": track, "racing_day": race.racing_day, "runners": runners}
