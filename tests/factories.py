"""Rows for tests: meetings, races and poll logs, with defaults for what a test does not mention."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from polling.models import PollLog, PollState, Trigger
from races.models import Meeting, Race

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
_serial = count(1)


def make_meeting(**values: Any) -> Meeting:
    """A thoroughbred meeting in New Zealand."""
    number = next(_serial)
    defaults = {
        "provider": "sandbox",
        "provider_meeting_id": f"meeting-{number}",
        "name": f"Track {number}",
        "country": "NZ",
        "code": "thoroughbred",
        "racing_day": START.date(),
        "timezone": "Pacific/Auckland",
    }
    return Meeting.objects.create(**defaults | values)


def make_race(*, start: datetime = START, **values: Any) -> Race:
    """A scheduled race, advertised for `start`, due for no poll yet."""
    if "meeting" not in values:
        values["meeting"] = make_meeting()
    race = _new_race(start, **values)
    race.save()
    return race


def make_races(number: int, **values: Any) -> list[Race]:
    """Stores this number of races of one meeting, in few queries."""
    values = {"meeting": make_meeting(), **values}
    return Race.objects.bulk_create([_new_race(START, **values) for _ in range(number)], batch_size=500)


def _new_race(start: datetime, **values: Any) -> Race:
    number = next(_serial)
    defaults: dict[str, Any] = {
        "provider": "sandbox",
        "provider_race_id": f"race-{number}",
        "number": 1,
        "name": f"Handicap {number}",
        "advertised_start": start,
        "original_advertised_start": start,
        "provider_start": start,
    }
    return Race(**defaults | values)


def make_log(race: Race, *, slot_at: datetime = START, state: PollState = PollState.OK, **values: Any) -> PollLog:
    """A poll log; a finished one unless its state is open."""
    defaults: dict[str, Any] = {"trigger": Trigger.SLOT.value, "claimed_at": slot_at, "started_at": slot_at}
    if state in (PollState.CLAIMED, PollState.RUNNING):
        defaults["lease_until"] = slot_at + timedelta(seconds=22)
    else:
        defaults["finished_at"] = slot_at + timedelta(milliseconds=400)
    return PollLog.objects.create(race=race, slot_at=slot_at, state=state.value, **defaults | values)
