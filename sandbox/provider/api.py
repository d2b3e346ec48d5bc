"""The routes of the API: what a path and its query ask for, and the answer."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from urllib.parse import parse_qsl, urlsplit

from sandbox.provider.call import Bound, Call, echo, page_token
from sandbox.provider.card import RaceState
from sandbox.provider.event import event_data
from sandbox.provider.formats import Json, envelope
from sandbox.provider.payloads import list_row, list_special, meeting_row
from sandbox.provider.replies import Refused
from sandbox.provider.world import World

ROUTE = re.compile(r"(?:/affiliates/v1)?/racing/(meetings|list|events)(?:/([^/]+))?")

Answer = tuple[str, Json, Json]  # title, params, data


def answer(world: World, target: str, *, now: datetime) -> Json:
    """The body of a 200. Raises Refused for anything else."""
    url = urlsplit(target)
    match = ROUTE.fullmatch(url.path)
    route = ROUTES.get((match[1], match[2] is not None)) if match else None
    if match is None or route is None:
        raise Refused(404, "no such endpoint")
    call = Call(world, target, dict(parse_qsl(url.query)), now)
    title, params, data = route(call, match[2] or "")
    return envelope(title, target, {"enc": call.query.get("enc", "json"), **params}, data, now=now)


def race_id_of(target: str) -> str | None:
    """The race that a request is for, if it is for one."""
    match = ROUTE.fullmatch(urlsplit(target).path)
    return match[2] if match and match[1] == "events" else None


def another_event(world: World, target: str, *, now: datetime) -> str:
    """The path of the event of another race than the one that the request is for."""
    asked = race_id_of(target)
    other = next(race.id for race in world.card.listed(now=now) if race.id != asked)
    return urlsplit(target).path.replace(asked or "", other)


def _meetings(call: Call, _: str) -> Answer:
    """A day selects meetings by their racing day in New Zealand, an instant races by their start.

    Meetings named by `ids` come whole.
    """
    ids, card = call.words("ids"), call.world.card
    named = (race for meeting_id in ids for race in card.find_meeting(meeting_id, now=call.now))
    races = list(named) if ids else card.listed(now=call.now)
    states = call.world.see(races, call.target, now=call.now, is_list=True)
    states = _between(call, states, lambda state: state.race.meeting.racing_day)
    states = _of_kind(states, call.words("category"), call.words("country"))
    rows = [meeting_row(group) for group in _by_meeting(states)][call.offset : call.offset + call.limit]
    minute = call.now.replace(second=0, microsecond=0)
    params = {
        "ids": ids or None,
        "date_from": echo(call.bound("date_from") or minute),
        "date_to": echo(call.bound("date_to") or minute),
        "type": call.query.get("category", " "),
        "country": call.query.get("country", " "),
        "limit": call.limit,
        "offset": call.offset,
        "futures": call.flag("futures"),
        "meeting_numbers": None,
    }
    return "Race Meetings", params, {"meetings": rows} if rows else {}


def _meeting(call: Call, meeting_id: str) -> Answer:
    races = call.world.card.find_meeting(meeting_id, now=call.now)
    states = call.world.see(races, call.target, now=call.now, is_list=True)
    if not states:
        raise Refused(404, "meeting not found")
    return "Get meeting by id", {"id": meeting_id}, {"meetings": [meeting_row(states)]}


def _list(call: Call, _: str) -> Answer:
    """A day is one of UTC here."""
    page, first_page_at = call.page()
    races = call.world.card.listed(now=first_page_at)
    states = call.world.see(races, call.target, now=call.now, is_list=True)
    states = _between(call, states, lambda state: state.advertised_start.date())
    states = _of_kind(states, call.words("meet_types"), call.words("countries"))
    ascending = call.number("order_by", 1) != 0
    states.sort(key=lambda state: state.advertised_start, reverse=not ascending)
    rows = [row for state in states for row in _list_rows(state)]
    shown = rows[(page - 1) * call.limit : page * call.limit]
    data: Json = {"races": shown} if shown else {}
    if page * call.limit < len(rows):
        data["next_page_token"] = page_token(page + 1, first_page_at)
    params = {
        "limit": call.limit,
        "countries": call.words("countries") or None,
        "meet_types": call.words("meet_types") or None,
        "date_from": echo(call.bound("date_from") or call.now.date()),
        "date_to": echo(call.bound("date_to") or call.now.date(), time="23:59:59.999999999"),
        "order_by": int(ascending),
        "page_token": call.query.get("page_token", ""),
    }
    return "List Races", params, data


def _event(call: Call, race_id: str) -> Answer:
    race = call.world.card.find_race(race_id, now=call.now)
    states = call.world.see([race], call.target, now=call.now) if race else []
    if not states:
        raise Refused(404, "event not found")
    params = {
        "id": race_id,
        "present_overlay": call.flag("present_overlay"),
        "with_big_bets": call.flag("with_big_bets"),
        "with_live_bets": call.flag("with_live_bets"),
        "with_money_tracker": call.flag("with_money_tracker"),
        "with_biggest_bet": call.flag("with_biggest_bet"),
        "will_pays": call.flag("with_will_pays"),
        "with_tote_trends_data": call.flag("with_tote_trends_data"),
        "bet_type_filter": call.query.get("bet_type_filter", ""),
        "bets_limit": 10,
    }
    return f"Event Details: {race_id}", params, event_data(states[0])


# By the resource and whether the path names one of it.
ROUTES: Mapping[tuple[str, bool], Callable[[Call, str], Answer]] = {
    ("meetings", False): _meetings,
    ("meetings", True): _meeting,
    ("list", False): _list,
    ("events", True): _event,
}


def _between(call: Call, states: list[RaceState], day_of: Callable[[RaceState], date]) -> list[RaceState]:
    first, last = call.bound("date_from"), call.bound("date_to")
    return [
        state
        for state in states
        if (first is None or _order(state, first, day_of) >= 0) and (last is None or _order(state, last, day_of) <= 0)
    ]


def _order(state: RaceState, bound: Bound, day_of: Callable[[RaceState], date]) -> int:
    """Below, at or above zero for a race before, at or after the bound."""
    if isinstance(bound, datetime):
        return (state.advertised_start > bound) - (state.advertised_start < bound)
    return (day_of(state) > bound) - (day_of(state) < bound)


def _of_kind(states: list[RaceState], codes: list[str], countries: list[str]) -> list[RaceState]:
    return [
        state
        for state in states
        if (not codes or state.race.meeting.track.code in codes)
        and (not countries or state.race.meeting.track.country in countries)
    ]


def _by_meeting(states: list[RaceState]) -> list[list[RaceState]]:
    groups: dict[str, list[RaceState]] = {}
    for state in states:
        groups.setdefault(state.race.meeting.id, []).append(state)
    return list(groups.values())


def _list_rows(state: RaceState) -> list[Json]:
    is_last = state.race.number == state.race.meeting.size
    return [list_row(state), list_special(state)] if is_last else [list_row(state)]
