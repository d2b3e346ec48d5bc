"""The routes of the API: which races a path and its query ask for, and the answer."""

import re
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from sandbox.provider.call import Bound, Call, echo
from sandbox.provider.event_payload import event_data
from sandbox.provider.formats import Json, envelope
from sandbox.provider.meeting_payload import meeting_row
from sandbox.provider.race_state import RaceState
from sandbox.provider.replies import Refused
from sandbox.provider.simulation import Simulation

PREFIX = r"(?:/affiliates/v1)?/racing"
MEETINGS, EVENT = re.compile(f"{PREFIX}/meetings"), re.compile(f"{PREFIX}/events/([^/]+)")

Answer = tuple[str, Json, Json]  # title, params, data


def answer(simulation: Simulation, target: str, *, now: datetime) -> Json:
    """The body of a 200. Raises Refused for anything else."""
    url = urlsplit(target)
    call = Call(simulation, target, dict(parse_qsl(url.query)), now)
    if MEETINGS.fullmatch(url.path):
        title, params, data = _answer_meetings(call)
    elif match := EVENT.fullmatch(url.path):
        title, params, data = _answer_event(call, match[1])
    else:
        raise Refused(404, "no such endpoint")
    return envelope(title, target, {"enc": call.query.get("enc", "json"), **params}, data, now=now)


def race_id_of(target: str) -> str | None:
    """The race that a request is for, if it is for one."""
    match = EVENT.fullmatch(urlsplit(target).path)
    return match[1] if match else None


def another_event(simulation: Simulation, target: str, *, now: datetime) -> str:
    """The path of the event of another race than the one that the request is for."""
    asked = race_id_of(target)
    other = next(race.id for race in simulation.card.listed(now=now) if race.id != asked)
    return urlsplit(target).path.replace(asked or "", other)


def _answer_meetings(call: Call) -> Answer:
    """A day selects meetings by their racing day in New Zealand, an instant races by their start.

    Meetings named by `ids` come whole, whether they are listed or not.
    """
    first, last = call.bound("date_from"), call.bound("date_to")
    ids, card = call.ids(), call.simulation.card
    named = [race for meeting_id in ids for race in card.find_meeting(meeting_id, now=call.now)]
    races = named if ids else card.listed(now=call.now)
    states = [
        state
        for state in call.simulation.report(races, call.target, now=call.now)
        if (first is None or _starts_by(state, first) >= 0) and (last is None or _starts_by(state, last) <= 0)
    ]
    groups: dict[str, list[RaceState]] = {}
    for state in states:
        groups.setdefault(state.race.meeting.id, []).append(state)
    rows = [meeting_row(group) for group in groups.values()][call.offset : call.offset + call.limit]
    minute = call.now.replace(second=0, microsecond=0)
    params = {
        "ids": ids or None,
        "date_from": echo(first or minute),
        "date_to": echo(last or minute),
        "type": " ",
        "country": " ",
        "limit": call.limit,
        "offset": call.offset,
        "futures": False,
        "meeting_numbers": None,
    }
    return "Race Meetings", params, {"meetings": rows} if rows else {}


def _starts_by(state: RaceState, bound: Bound) -> int:
    """Below, at or above zero for a race before, at or after the bound."""
    if isinstance(bound, datetime):
        return (state.advertised_start > bound) - (state.advertised_start < bound)
    racing_day = state.race.meeting.racing_day
    return (racing_day > bound) - (racing_day < bound)


def _answer_event(call: Call, race_id: str) -> Answer:
    race = call.simulation.card.find_race(race_id, now=call.now)
    states = call.simulation.report([race], call.target, now=call.now, is_event=True) if race else []
    if not states:
        raise Refused(404, "event not found")
    flags = ("present_overlay", "with_big_bets", "with_live_bets", "with_money_tracker", "with_biggest_bet")
    params = {
        "id": race_id,
        **dict.fromkeys((*flags, "will_pays", "with_tote_trends_data"), False),
        "bet_type_filter": "",
        "bets_limit": 10,
    }
    return f"Event Details: {race_id}", params, event_data(states[0])
