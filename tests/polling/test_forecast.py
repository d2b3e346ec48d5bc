"""The forecast: what it adds up, and that it is what then happens."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polling import dispatch, planning, providers, tick
from polling.cadence import DEFAULT_WINDOWS, Cadence, floor, read_windows
from polling.forecast import Assumptions, Entry, Poll, Span, loads, polls
from polling.models import PollLog, ProviderState, Tick
from polling.next_poll import RaceFacts
from polling.request_policy import BatchScope
from races.models import Race
from tests.factories import START, make_meeting, make_race
from tests.polling.conftest import ProviderBox
from tests.polling.driving import Driver, next_due, polled

CADENCE = Cadence(DEFAULT_WINDOWS, timedelta(seconds=15))
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
DAY = Span(START - timedelta(hours=12), START + timedelta(hours=12))


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def entry(
    start: datetime = START,
    known_at: datetime = START - 90 * MINUTE,
    *,
    cadence: Cadence = CADENCE,
    has_detail: bool = False,
    **facts: Any,
) -> Entry:
    return Entry("sandbox", RaceFacts(start, waiting=True, **facts), known_at, cadence, has_detail)


def twenty(_: str) -> int:
    return 20


def test_a_race_that_jumps_on_time_is_38_polls_before_its_start_three_after_it_and_two_rechecks() -> None:
    planned = list(polls(entry(), assume=Assumptions()))
    assert len([poll for poll in planned if poll.at < START]) == 38
    assert planned[38:] == [
        Poll(at(0), urgent=True, listed=False, detailed=True),
        Poll(at(5), urgent=False, listed=True, detailed=True),
        Poll(at(10), urgent=False, listed=True, detailed=True),
        Poll(at(25.25), urgent=False, listed=False, detailed=True),
        Poll(at(70.25), urgent=False, listed=False, detailed=True),
    ]


def test_a_race_known_late_is_polled_at_the_next_tick() -> None:
    assert next(polls(entry(known_at=at(-37) + SECOND), assume=Assumptions())).at == at(-37) + 15 * SECOND


def test_a_race_that_has_been_polled_in_this_slot_is_polled_in_the_next() -> None:
    known = entry(known_at=at(-54) + SECOND, covered_at=at(-55))
    assert next(polls(known, assume=Assumptions())).at == at(-50)


def test_each_race_of_a_load_is_polled_by_its_own_cadence() -> None:
    slow = Cadence(read_windows("60:600,0:600"), timedelta(seconds=15))
    usual, own = (len(list(polls(entry(cadence=cadence), assume=Assumptions()))) for cadence in (CADENCE, slow))
    [load] = loads([entry(), entry(cadence=slow)], DAY, quota=100, max_batch=twenty, assume=Assumptions())
    assert (load.polls, own) == (usual + own, 6 + 2 + 2), "six slots before the start, two after it, two rechecks"


def test_races_whose_list_answers_all_there_is_cost_one_request_for_all_of_them() -> None:
    races = [replace(entry(), scope=BatchScope.FULL) for _ in range(2)]
    [load] = loads(races, DAY, quota=100, max_batch=twenty, assume=Assumptions())
    assert (load.polls, load.requests) == (2 * (38 + 3 + 2), 38 + 3 + 2)


def test_each_minute_of_a_late_start_costs_four_polls_where_races_are_held() -> None:
    held = Cadence(DEFAULT_WINDOWS, timedelta(seconds=15), hold=5 * MINUTE)
    late, prompt = (
        len(list(polls(entry(cadence=held), assume=Assumptions(late=late)))) for late in (4 * MINUTE, 0 * MINUTE)
    )
    assert late - prompt == 4 * 4 + 1, "and one more until the end"


def test_races_past_their_start_share_a_request_and_ask_for_themselves_when_they_move() -> None:
    running = [replace(entry(), ends_at=at(60)) for _ in range(21)]
    [load] = loads(running, DAY, quota=100, max_batch=twenty, assume=Assumptions(until_interim=8 * MINUTE))
    assert load.by_minute[at(-1)] == 21 * 4
    assert load.by_minute[at(0)] == 21, "they start: until then each is asked for its odds"
    assert load.by_minute[at(5)] == 2
    assert load.by_minute[at(10)] == load.by_minute[at(55)] == 2 + 21, "an interim result may change at any poll"
    assert load.by_minute[at(60)] == 2 + 21, "the final one"
    assert (load.races, load.polls) == (21, 21 * (38 + 13 + 2))


def test_races_about_to_start_never_share_a_request_with_others() -> None:
    far, near = entry(at(35), known_at=at(0), has_detail=True), entry(at(5), known_at=at(0), has_detail=True)
    changed = Assumptions(detail="changed")
    soon = Span(at(0), at(1))
    together = [loads([some, near], soon, quota=9, max_batch=twenty, assume=changed) for some in (near, far)]
    assert [load.by_minute for [load] in together] == [{at(0): 3}, {at(0): 4}]


def test_the_peak_is_the_first_of_the_fullest_minutes_and_what_is_above_the_quota_is_counted() -> None:
    [load] = loads([entry(), entry()], DAY, quota=7, max_batch=twenty, assume=Assumptions())
    assert load.peak == (at(-5), 8)
    assert load.over == {at(minutes): 1 for minutes in (-5, -4, -3, -2, -1)}


# --- planned is made ------------------------------------------------------------------------------------------

STATUSES = ("Open", "Closed", "Interim", "Final")


def run_to_the_end(
    provider: ProviderBox, lives: Mapping[Race, tuple[datetime, datetime, datetime]], until: datetime = DAY.until
) -> None:
    """Ticks and polls while anything is due; each race starts, is interim and is final at these instants."""
    reported: dict[Race, str] = {}
    while (now := next_due()) and now < until:
        provider.now[0] = now
        for race, moves in lives.items():
            status = STATUSES[sum(move <= now for move in moves)]
            if reported.get(race) != status:
                provider.steer(race, status=status)
                reported[race] = status
        assert isinstance(tick.run(now=now), Tick)
        Driver(provider).work(now)


def open_races(provider: ProviderBox, starts: list[datetime]) -> list[Race]:
    """The only races, imported and never polled, with these starts."""
    for model in (PollLog, Tick, ProviderState, Race):
        model.objects.all().delete()
    provider.now[0] = START - timedelta(hours=2)
    chosen = provider.import_card()[-len(starts) :]
    for race, start in zip(chosen, starts, strict=True):
        provider.steer(race, advertised_start=start.isoformat(), status="Open", protest=False)
        fresh = {"advertised_start": start, "provider_start": start, "status": "scheduled", "next_poll_at": None}
        Race.objects.filter(pk=race.pk).update(**fresh)
    provider.forget_requests()
    Race.objects.exclude(pk__in=[race.pk for race in chosen]).delete()
    return list(Race.objects.order_by("pk"))


def asked(provider: ProviderBox) -> dict[datetime, int]:
    """By minute, from the provider's own log."""
    return dict(Counter(floor(datetime.fromisoformat(entry["at"]), MINUTE) for entry in provider.requests()))


@pytest.mark.django_db(transaction=True)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    offsets=st.lists(st.sampled_from([0, 0, 15, 60, 303]), min_size=1, max_size=3),
    known=st.integers(0, 700),
    late=st.integers(0, 600),
    interim=st.integers(60, 400),
    official=st.integers(60, 600),
    hold=st.sampled_from([0, 300]),
    detail=st.sampled_from(["until_start", "changed", "always"]),
)
def test_under_a_frozen_clock_what_is_planned_is_what_is_made_and_what_is_asked(
    provider: ProviderBox, settings: Any, offsets: list[int], known: int, late: int, interim: int, official: int,
    hold: int, detail: str,
) -> None:  # fmt: skip
    settings.POLL_HOLD, settings.RACE_DETAIL = timedelta(seconds=hold), detail
    planning.default_cadence.cache_clear()
    adapter = providers.get("sandbox")
    adapter.capabilities = replace(adapter.capabilities, max_batch=2)
    known_at = START - known * SECOND
    races = open_races(provider, [START + offset * SECOND for offset in offsets])
    planning.replan([race.pk for race in races], now=known_at)
    assume = Assumptions(late * SECOND, interim * SECOND, (interim + official) * SECOND, detail)
    jumps = {race: race.advertised_start + assume.late for race in races}
    run_to_the_end(
        provider, {race: (at, at + assume.until_interim, at + assume.until_official) for race, at in jumps.items()}
    )

    entries = [
        entry(race.advertised_start, known_at, cadence=planning.cadence_of(race), min_interval=15 * SECOND)
        for race in races
    ]
    for race, known_race in zip(races, entries, strict=True):
        planned = [poll.at for poll in polls(known_race, assume=assume)]
        assert polled(race) == planned
    assert set(PollLog.objects.values_list("state", flat=True)) == {"ok"}
    [load] = loads(entries, DAY, quota=240, max_batch=dispatch.max_batch, assume=assume)
    assert load.by_minute == asked(provider)
    planning.default_cadence.cache_clear()


# --- the command --------------------------------------------------------------------------------------------

in_a_database = pytest.mark.django_db


def plan_day(capsys: pytest.CaptureFixture[str], *options: str, now: datetime = START - timedelta(hours=3)) -> str:
    with time_machine.travel(now, tick=False):
        call_command("plan_day", *options)
    return capsys.readouterr().out


@in_a_database
def test_plan_day_prints_the_next_24_hours(capsys: pytest.CaptureFixture[str]) -> None:
    for minutes in (0, 2, 2000):
        make_race(start=at(minutes))
    make_race(start=at(1), polling_paused=True)
    output = plan_day(capsys)
    assert output.splitlines()[0] == "from 2026-11-23 00:00 to 2026-11-24 00:00 UTC: 2 races"
    assert "sandbox: 2 races, 86 polls in 90 requests; at most 8 a minute at 02:57 UTC; quota 240 a minute" in output


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("minutes", [-17, 0.1, 6, 12])
def test_plan_day_of_a_day_that_is_under_way_prints_what_is_then_asked(
    provider: ProviderBox, capsys: pytest.CaptureFixture[str], minutes: float
) -> None:
    """Before its start and after it, with an interim result, and between its end and the rechecks of its result."""
    [race] = open_races(provider, [START])
    moves, now = (at(0), at(4), at(9)), at(minutes) + SECOND
    planning.replan([race.pk], now=min(at(-1), now - 2 * MINUTE))
    run_to_the_end(provider, {race: moves}, until=now)
    provider.forget_requests()
    [printed] = json.loads(plan_day(capsys, "--json", now=now))
    run_to_the_end(provider, {race: moves})
    assert printed["by_minute"] == {minute.isoformat(): count for minute, count in asked(provider).items()}


@in_a_database
def test_plan_day_of_a_racing_day_counts_all_of_it_and_what_if(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    meeting = make_meeting(racing_day=START.date())
    ended: dict[str, Any] = {
        "status": "finalized",
        "finalized_by": "provider",
        "finalized_at": at(12),
        "outcome": "resulted",
    }
    make_race(meeting=meeting, **ended)
    make_race(meeting=meeting, start=at(40))
    windows = tmp_path / "windows.txt"
    windows.write_text("60:600,5:30,0:600\n")

    def forecast_with(*options: str) -> dict[str, Any]:
        [document] = json.loads(plan_day(capsys, "--date", "2026-11-23", "--json", *options))
        return dict(document)

    plain = forecast_with()
    assert (plain["races"], plain["polls"]) == (2, 38 * 2 + 4 + 3 + 2 * 2)
    assert sum(plain["by_minute"].values()) == plain["requests"]
    assert forecast_with("--late", "6m")["polls"] == plain["polls"] + 23 + 24, (
        "every 15 s until they jump, 24 polls more"
    )
    assert forecast_with("--cadence", str(windows))["polls"] < plain["polls"] / 2
    tight = forecast_with("--quota", "3")
    assert tight["quota"]["a_minute"] == 3
    assert max(tight["over"].values()) == plain["peak"]["requests"] - 3


@in_a_database
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--date", "today"], "--date is 'today', not YYYY-MM-DD"),
        (["--late", "3"], "--late is '3', not like 90s, 3m or 1h"),
        (["--quota", "0"], "--quota must be at least 1"),
        (["--cadence", "/nowhere"], "--cadence: /nowhere cannot be read"),
    ],
)
def test_plan_day_refuses_what_it_cannot_read(options: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message) as caught:
        call_command("plan_day", *options)
    assert caught.value.returncode == 2


@in_a_database
def test_plan_day_says_which_file_makes_no_grid(tmp_path: Path) -> None:
    windows = tmp_path / "windows.txt"
    for text in ("sixty", "60:300", "60:7,0:300", ""):
        windows.write_text(text)
        with pytest.raises(CommandError, match="makes no grid") as caught:
            call_command("plan_day", "--cadence", str(windows))
        assert caught.value.returncode == 2


@in_a_database
def test_plan_day_of_a_day_without_races_says_so() -> None:
    with pytest.raises(CommandError, match="no race of 2031-01-01 has been imported") as caught:
        call_command("plan_day", "--date", "2031-01-01")
    assert caught.value.returncode == 1
