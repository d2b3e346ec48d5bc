"""The JSON of the simulated provider against the shape of the real one's."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sandbox.provider import api
from sandbox.provider.event_payload import event_data
from sandbox.provider.race import Race
from sandbox.provider.race_state import RaceState, state_of
from sandbox.provider.rolling_card import RollingCard
from sandbox.provider.simulation import Simulation
from sandbox.request_log import RequestLog

RECORDED = Path(__file__).resolve().parents[3] / "../shared/data/providers"
START = datetime(2026, 11, 23, 9, 0, 7, 123456, tzinfo=UTC)
SEED = 4
CARD = RollingCard(SEED)
SIMULATION = Simulation(CARD, lambda: START, RequestLog(None))

RECORDINGS = {
    "meetings": [
        "tabnz/meetings_today_trimmed.json",
        "tabnz/meetings_by_id.json",
        "entain_affiliates/meetings_docs_example.json",
    ],
    "events": [
        "tabnz/event_final_trimmed.json",
        "entain_affiliates/event_open_2026_excerpt.json",
        "entain_affiliates/event_final_docs_example.json",
    ],
}
# What the provider's OpenAPI gives every kind of race, though no recording shows one with a protest.
DOCUMENTED = {"protest": "boolean", "protest_reason": "string"}
# What is in every full recording and left out here: form, pools and pictures that no status or odds hang on.
LEFT_OUT = {
    *("age", "colour", "sex", "substitutions", "tote_pools", "silk_url", "tips", "prize_monies"),
    *("class", "gait", "rail_position", "age_conditions", "allowance_conditions", "gender_conditions"),
    *("jockey_conditions", "special_conditions", "weight_and_handicap_conditions", "mile_rate_400"),
    *("mile_rate_800", "fftop3_option_number", "ffwin_option_number", "track_circumference"),
    *("track_direction", "track_home_straight", "track_surface", "video_channels_meta"),
}


def ask(target: str) -> dict[str, Any]:
    return api.answer(SIMULATION, f"/racing/{target}", now=START)


@cache
def races() -> list[Race]:
    return list(CARD.listed(now=START))


def of_status(status: str) -> RaceState:
    return next(seen for race in races() if (seen := state_of(race, now=START)).status == status)


def answers(endpoint: str) -> list[dict[str, Any]]:
    if endpoint != "events":
        return [ask(endpoint)]
    return [ask(f"events/{race.id}") for race in races()[::3]]


def keys_by_place(value: Any, place: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    if isinstance(value, dict):
        yield place, frozenset(value)
        for key, inner in value.items():
            yield from keys_by_place(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from keys_by_place(inner, f"{place}[]")


def shapes(bodies: list[dict[str, Any]]) -> dict[str, list[frozenset[str]]]:
    found: dict[str, list[frozenset[str]]] = {}
    for body in bodies:
        for place, keys in keys_by_place(body):
            found.setdefault(place, []).append(keys)
    return found


def recorded(names: list[str]) -> list[dict[str, Any]]:
    if not RECORDED.exists():
        pytest.skip("the recorded payloads are not beside the repository")
    return [json.loads((RECORDED / name).read_text()) for name in names]


@pytest.mark.parametrize("endpoint", RECORDINGS)
def test_no_key_is_used_that_the_real_provider_does_not_send(endpoint: str) -> None:
    real = shapes(recorded(RECORDINGS[endpoint]))
    for place, keys in shapes(answers(endpoint)).items():
        assert frozenset().union(*keys) - DOCUMENTED.keys() <= frozenset().union(*real[place]), place


@pytest.mark.parametrize("schema", ["MeetingRace", "EventRace"])
def test_a_protest_has_the_types_that_the_provider_documents(schema: str) -> None:
    fields = recorded(["tabnz/openapi.json"])[0]["components"]["schemas"][schema]["properties"]
    assert {name: fields[name]["type"] for name in DOCUMENTED} == DOCUMENTED


@pytest.mark.parametrize("endpoint", RECORDINGS)
def test_what_the_real_provider_always_sends_is_sent_but_for_a_known_list(endpoint: str) -> None:
    ours = shapes(answers(endpoint))
    for place, keys in shapes(recorded(RECORDINGS[endpoint][:1])).items():
        always = frozenset.intersection(*keys)
        if LEFT_OUT.isdisjoint(place.replace("[]", "").split(".")):
            assert always - frozenset().union(*ours[place]) <= LEFT_OUT, place


def test_an_instant_has_the_format_of_its_endpoint() -> None:
    seen = of_status("Final")
    rows = [race for meeting in ask("meetings")["data"]["meetings"] for race in meeting["races"]]
    listed_race = next(race for race in rows if race["id"] == seen.race.id)
    race = ask(f"events/{seen.race.id}")["data"]["race"]
    start = seen.advertised_start
    assert listed_race["start_time"] == start.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert race["advertised_start"] == start.timestamp()
    assert race["actual_start"] == seen.actual_start.timestamp()
    assert race["actual_start_string"] == seen.actual_start.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def test_new_zealand_time_and_the_tote_clock_count_from_the_racing_day() -> None:
    race = ask(f"events/{races()[0].id}")["data"]["race"]
    start = datetime.fromtimestamp(race["advertised_start"], UTC)
    assert race["start_time_nz"] == f"{start + timedelta(hours=13):%H:%M:%S} NZDT"
    rows = [
        (meeting["date"], race)
        for meeting in ask("meetings")["data"]["meetings"]
        for race in meeting["races"]
        if "tote_start_time" in race
    ]
    for day, row in rows:
        hours, minutes, seconds = map(int, row["tote_start_time"].split(":"))
        midnight = datetime.fromisoformat(day) - timedelta(hours=13)
        assert midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds) == datetime.fromisoformat(
            row["start_time"]
        )
    assert any(row["tote_start_time"] >= "24" for _, row in rows)


def test_the_header_shows_the_clocks_instant_to_nine_digits() -> None:
    header = ask("meetings")["header"]
    assert re.fullmatch(r"2026-11-23T09:00:07\.123456\d{3}Z", header["generated_time"])
    assert header["url"] == "/racing/meetings"


def test_before_the_jump_the_actual_start_is_the_advertised_one() -> None:
    race = ask(f"events/{of_status('Open').race.id}")["data"]["race"]
    assert race["actual_start"] == race["advertised_start"]


def test_results_and_dividends_are_left_out_while_there_are_none() -> None:
    for status in ("Open", "Abandoned"):
        assert not {"results", "dividends"} & ask(f"events/{of_status(status).race.id}")["data"].keys()


def test_interim_dividends_only_while_interim_and_some_of_them_beside_the_final_ones() -> None:
    interim = event_data(of_status("Interim"))
    assert {row["status"] for row in interim["dividends"]} == {"Interim"}
    assert len(interim["results"]) >= 4
    final = event_data(of_status("Final"))
    by_product: dict[tuple[str, str], set[str]] = {}
    for row in final["dividends"]:
        by_product.setdefault((row["product_name"], row["description"]), set()).add(row["status"])
    assert all("Final" in statuses for statuses in by_product.values())
    assert {"Interim", "Final"} in by_product.values()
    assert {product for product, _ in by_product} >= {"Pool Win", "Pool Place", "Pool Quinella", "Pool Trifecta"}


def test_a_dead_heat_shares_its_position_and_the_next_one_skips() -> None:
    later = START + timedelta(hours=6)
    finals = (state_of(race, now=later) for race in races())
    tied = next(seen for seen in finals if any(len(place) == 2 for place in seen.places))
    positions = [row["position"] for row in event_data(tied)["results"]]
    shared = next(place for place in positions if positions.count(place) == 2)
    assert shared + 1 not in positions
    assert positions == sorted(positions)
    winners = [row for row in event_data(tied)["dividends"] if row["product_name"] == "Pool Win"]
    assert len({row["description"] for row in winners}) == len(tied.places[0])


def test_a_scratched_runner_keeps_odds_and_shows_when_it_was_scratched() -> None:
    seen = next(seen for race in races() if (seen := state_of(race, now=START)).scratched)
    data = event_data(seen)
    scratched = [runner for runner in data["runners"] if runner["is_scratched"]]
    assert {runner["runner_number"]: runner["scratch_time"] for runner in scratched} == {
        number: at.timestamp() for number, at in seen.scratched.items()
    }
    assert all(runner["odds"]["fixed_win"] > 1 and runner["deduction"]["win"] > 0 for runner in scratched)
    assert data["race"]["field_size"] == data["race"]["entrant_count"] - len(scratched)
    present = [runner for runner in data["runners"] if not runner["is_scratched"]]
    assert {(runner["scratch_time"], runner["scr_time"]) for runner in present} == {(0, None)}


def test_lists_hold_rows_that_are_no_races() -> None:
    rows = [race for meeting in ask("meetings")["data"]["meetings"] for race in meeting["races"]]
    specials = [row for row in rows if row["race_number"] == 0]
    assert specials
    assert all("status" not in row and "Jockey Challenge" in row["name"] for row in specials)
