"""The rows of /racing/meetings: meetings with their races."""

from functools import lru_cache

from sandbox.provider.formats import Json, iso, iso_day, tote_clock
from sandbox.provider.names import CATEGORIES, CONDITIONS, WEATHER
from sandbox.provider.race_grid import Meeting
from sandbox.provider.race_state import RaceState
from sandbox.provider.seeded_random import chance, pick, uid


def meeting_row(states: list[RaceState]) -> Json:
    """A meeting with those of its races that `states` holds, at least one."""
    meeting = states[0].race.meeting
    track = meeting.track
    row: Json = {
        "meeting": meeting.id,
        "name": track.name,
        "date": iso_day(meeting.racing_day),
        "track_condition": condition(meeting),
        "category": track.code,
        "category_name": CATEGORIES[track.code],
        "country": track.country,
        "state": track.state,
        "races": [*_jockey_challenge_rows(states), *(_race_row(state) for state in states)],
    }
    return row | _tote_fields(meeting) if track.on_tote else row


def protest_fields(state: RaceState) -> Json:
    """The fields of a protest; the API leaves out what is empty or false."""
    return {"protest": True, "protest_reason": state.protest} if state.protest else {}


@lru_cache(maxsize=1024)
def condition(meeting: Meeting) -> str:
    return pick(CONDITIONS, meeting.id, "condition") if meeting.track.on_tote else ""


@lru_cache(maxsize=1024)
def weather(meeting: Meeting) -> str:
    return pick(WEATHER, meeting.id, "weather") if meeting.track.on_tote else ""


def _race_row(state: RaceState) -> Json:
    race, track = state.race, state.race.meeting.track
    row: Json = {
        "id": race.id,
        "race_number": race.number,
        "name": race.name,
        "start_time": iso(state.advertised_start),
        "track_condition": condition(race.meeting),
        "distance": race.distance,
        "weather": weather(race.meeting),
        "country": track.country,
        "state": track.state,
        "status": state.status,
        **protest_fields(state),
    }
    if track.on_tote:
        row["tote_start_time"] = tote_clock(state.advertised_start, race.meeting.racing_day)
    return row


def _jockey_challenge_rows(states: list[RaceState]) -> list[Json]:
    """The bet on the day's best jockey that gallops meetings list among their races, as number 0."""
    meeting = states[0].race.meeting
    if meeting.track.code != "T":
        return []
    row = {
        "id": uid(meeting.id, "jockey challenge"),
        "race_number": 0,
        "name": f"Jockey Challenge - {meeting.track.name}",
        "start_time": iso(states[0].advertised_start),
        "track_condition": "",
        "distance": 0,
        "weather": "",
        "country": "",
        "state": "",
    }
    return [row]


def _tote_fields(meeting: Meeting) -> Json:
    return {
        "video_channels": ["Trackside1", "Trackside2"],
        "quaddie": [9, 10, 11, 12],
        "early_quaddie": [5, 6, 7, 8],
        "tote_meeting_number": 1 + int(70 * chance(meeting.id, "number")),
        "tote_raceday_date": meeting.racing_day.isoformat(),
        "tote_status": "Open",
    }
