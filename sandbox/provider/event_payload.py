"""The answer of /racing/events/{id}: a race with its runners, odds, results and dividends."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import accumulate

from sandbox.provider.dividends import dividend_rows, places_paid
from sandbox.provider.formats import Json, go_string, iso, nanoseconds, nz_time, unix_seconds
from sandbox.provider.meeting_payload import condition, protest_fields, weather
from sandbox.provider.odds import STEP_FAR, Odds, betting_until, fixed_wins, market
from sandbox.provider.race_grid import EPOCH, NZ
from sandbox.provider.race_state import RaceState
from sandbox.provider.runners import LATE_SCRATCHING, Runner
from sandbox.provider.seeded_random import between

OPENED_BEFORE = timedelta(hours=8)
FLUCTUATIONS = 4
# What the API leaves out where it repeats a runner as the favourite or the mover.
NOT_REPEATED = ("flucs", "flucs_with_timestamp", "scr_time", "deduction")


def event_data(state: RaceState) -> Json:
    """The `data` of an event; results and dividends are left out while there are none."""
    prices = market(state)
    runners = [
        _runner_row(state, runner, prices[runner.number]) | history
        for runner, history in zip(state.race.runners, _fluctuation_rows(state), strict=True)
    ]
    favourite, mover = _mark_favourite_and_mover(runners)
    data: Json = {"race": _race_fields(state)}
    if results := list(_result_rows(state)):
        data["results"] = results
    if dividends := dividend_rows(state, prices):
        data["dividends"] = dividends
    return data | {
        "favourite": favourite,
        "runners": runners,
        "derivatives": None,
        "mover": mover,
        "error": "",
    }


def _race_fields(state: RaceState) -> Json:
    race, meeting = state.race, state.race.meeting
    return {
        "event_id": race.id,
        "meeting_name": meeting.track.name,
        "display_meeting_name": meeting.track.name,
        "meeting_id": meeting.id,
        "status": state.status,
        "description": race.name,
        "advertised_start": unix_seconds(state.advertised_start),
        "actual_start": unix_seconds(state.actual_start),
        "advertised_start_string": go_string(state.advertised_start),
        "actual_start_string": go_string(state.actual_start),
        "race_date_nz": state.advertised_start.astimezone(NZ).date().isoformat(),
        "start_time_nz": nz_time(state.advertised_start),
        "race_number": race.number,
        "type": meeting.track.code,
        "start_type": "Mobile" if meeting.track.code == "H" else "",
        "country": meeting.track.country,
        "state": meeting.track.state,
        "distance": race.distance,
        "weather": weather(meeting).capitalize(),
        "form_guide": "",
        "comment": "",
        "silk_base_url": "",
        "track_condition": condition(meeting),
        "entrant_count": len(race.runners),
        "field_size": len(race.runners) - len(state.scratched),
        "positions_paid": places_paid(state),
        "video_channels": ["Trackside1"],
        "group": "",
        **protest_fields(state),
    }


def _runner_row(state: RaceState, runner: Runner, price: Odds) -> Json:
    scratched_at = state.scratched.get(runner.number)
    is_late = scratched_at is not None and scratched_at > state.advertised_start - LATE_SCRATCHING
    kilograms = "" if state.race.meeting.track.code == "G" else f"{runner.kilograms:g}"
    row: Json = {
        "entrant_id": runner.entrant_id,
        "market_name": "Final Field",
        "primary_market": True,
        "name": runner.name,
        "is_scratched": scratched_at is not None,
        "is_late_scratched": is_late,
        "is_emergency": False,
        "odds": {
            "fixed_win": price.fixed_win,
            "fixed_place": price.fixed_place,
            "pool_win": price.pool_win,
            "pool_place": price.pool_place,
        },
        "scratch_time": unix_seconds(scratched_at) if scratched_at else 0,
        "barrier": runner.barrier,
        "runner_number": runner.number,
        "jockey": runner.jockey,
        "country": state.race.meeting.track.country,
        "trainer_name": runner.trainer,
        "weight": {"allocated": kilograms, "total": kilograms},
        "favourite": False,
        "mover": False,
        "scr_time": iso(scratched_at) if scratched_at else None,
    }
    if scratched_at is not None:
        row["deduction"] = {"win": round(0.6 / price.fixed_win, 2), "place": round(0.5 / price.fixed_win, 2)}
    return row


def _fluctuation_rows(state: RaceState) -> Iterator[Json]:
    """Each runner's fixed win odds at the opening and at the last few moves, with when they came."""
    until = betting_until(state)
    until -= (until - EPOCH) % STEP_FAR
    instants = [state.race.first_start - OPENED_BEFORE]
    instants += [until - STEP_FAR * back for back in reversed(range(FLUCTUATIONS))]
    absent, stamps = frozenset(state.scratched), [nanoseconds(at) for at in instants]
    by_instant = (fixed_wins(state.race, state.advertised_start, absent, at) for at in instants)
    return (_fluctuation_row(stamps, prices) for prices in zip(*by_instant, strict=True))


def _fluctuation_row(stamps: list[str], prices: tuple[float, ...]) -> Json:
    points = [{"timestamp": stamp, "fluc": price} for stamp, price in zip(stamps, prices, strict=True)]
    stamped = {
        "last_six": points,
        "open": points[0],
        "high": points[prices.index(max(prices))],
        "low": points[prices.index(min(prices))],
        "nine_am": points[0],
    }
    return {"flucs": list(prices), "flucs_with_timestamp": stamped}


def _mark_favourite_and_mover(runners: list[Json]) -> tuple[Json, Json]:
    """Marks the favourite and the runner whose price fell most, and gives a copy of both."""
    present = [runner for runner in runners if not runner["is_scratched"]] or runners
    favourite = min(present, key=lambda runner: runner["odds"]["fixed_win"])
    mover = min(present, key=lambda runner: runner["odds"]["fixed_win"] / runner["flucs"][0])
    favourite["favourite"] = mover["mover"] = True
    return _repeated_runner(favourite), _repeated_runner(mover)


def _repeated_runner(runner: Json) -> Json:
    return {key: value for key, value in runner.items() if key not in NOT_REPEATED}


def _result_rows(state: RaceState) -> Iterator[Json]:
    """Rows by place; those who share a place share its number, and the next place counts them all."""
    before = accumulate((len(place) for place in state.places), initial=0)
    for ahead, place in zip(before, state.places, strict=False):
        for number in place:
            yield _result_row(state, number, ahead)


def _result_row(state: RaceState, number: int, ahead: int) -> Json:
    runner = state.runner(number)
    row: Json = {
        "position": ahead + 1,
        "name": runner.name,
        "barrier": runner.barrier,
        "runner_number": number,
        "margin_length": round(ahead * between(0.4, 2.2, state.race.id, "margin"), 1),
        "entrant_id": runner.entrant_id,
    }
    if ahead == 0:
        seconds = round(state.race.distance / between(15.5, 17.5, state.race.id, "speed"), 2)
        row |= {"winning_time": seconds, "time_ran": seconds}
    return row
