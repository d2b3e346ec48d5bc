"""The forecast: what it adds up, and that it is what then happens."""

import json
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polling import planning, pollers, tick
from polling.cadence import DEFAULT_WINDOWS, Cadence
from polling.forecast import ANSWERED_IN, Assumptions, Entry, Span, loads, polls
from polling.models import PollLog, ProviderState, Tick
from races.models import Race
from tests.factories import START, make_meeting, make_race
from tests.polling.conftest import ProviderBox

CADENCE = Cadence(DEFAULT_WINDOWS, timedelta(seconds=15))
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
DAY = Span(START - timedelta(hours=12), START + timedelta(hours=12))


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def entry(**values: Any) -> Entry:
    return Entry("sandbox", **{"advertised_start": START, "known_at": at(-90), **values})


def test_a_race_that_jumps_on_time_is_38_polls_before_its_start_two_after_it_and_two_looks_at_the_result() -> None:
    planned = list(polls(entry(), CADENCE, assume=Assumptions()))
    assert len([poll for poll in planned if poll.at < START]) == 38
    assert [poll.at - START for poll in planned[38:]] == [
        0 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        25.25 * MINUTE,
        70.25 * MINUTE,
    ]
    assert [poll.whole for poll in planned[38:]] == [False, False, True, True, True]


def test_a_race_known_late_is_polled_at_the_next_tick() -> None:
    assert next(polls(entry(known_at=at(-37) + SECOND), CADENCE, assume=Assumptions())).at == at(-37) + 15 * SECOND


def test_each_minute_of_a_late_start_costs_four_polls_where_races_are_held() -> None:
    held = Cadence(DEFAULT_WINDOWS, timedelta(seconds=15), hold=5 * MINUTE)
    late, prompt = (len(list(polls(entry(), held, assume=Assumptions(late=late)))) for late in (4 * MINUTE, 0 * MINUTE))
    assert late - prompt == 4 * 4 + 1, "and one more until the end"


def test_races_past_their_start_share_a_request_and_others_do_not() -> None:
    running = [entry(ends_at=at(60)) for _ in range(21)]
    [load] = loads(running, CADENCE, DAY, quota=100, max_batch=20, assume=Assumptions())
    assert load.by_minute[at(-1)] == 21 * 4
    assert load.by_minute[at(5)] == 2
    assert load.by_minute[at(60)] == 21, "their results are asked for one by one"
    assert (load.races, load.polls) == (21, 21 * (38 + 13 + 2))


def test_the_peak_is_the_first_of_the_fullest_minutes_and_what_is_above_the_quota_is_told() -> None:
    [load] = loads([entry(), entry()], CADENCE, DAY, quota=7, max_batch=20, assume=Assumptions())
    assert load.peak == (at(-5), 8)
    assert load.over == {at(minutes): 1 for minutes in (-5, -4, -3, -2, -1)}


@pytest.mark.django_db(transaction=True)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    known=st.integers(0, 5400), late=st.integers(0, 900), official=st.integers(60, 900), hold=st.sampled_from([0, 300])
)
def test_under_a_frozen_clock_what_is_planned_is_what_is_made(
    provider: ProviderBox, settings: Any, known: int, late: int, official: int, hold: int
) -> None:
    settings.POLL_HOLD = timedelta(seconds=hold)
    planning.cadence.cache_clear()
    for model in (PollLog, Tick, ProviderState, Race):
        model.objects.all().delete()
    provider.now[0] = START - timedelta(hours=2)
    race = provider.import_card()[-1]
    Race.objects.exclude(pk=race.pk).delete()
    start, known_at = START, START - known * SECOND
    jumps_at, ends_at = start + late * SECOND, start + (late + official) * SECOND
    fresh = {"advertised_start": start, "provider_start": start, "status": "scheduled", "next_poll_at": None}
    Race.objects.filter(pk=race.pk).update(**fresh)
    planning.replan([race.pk], now=known_at)

    made: list[datetime] = []
    while (now := Race.objects.get(pk=race.pk).next_poll_at) is not None:
        status = "Final" if now >= ends_at else "Closed" if now >= jumps_at else "Open"
        provider.steer(race, advertised_start=start.isoformat(), status=status)
        assert isinstance(tick.run(now=now), Tick)
        claimed = list(PollLog.objects.open().values_list("pk", flat=True))
        pollers.run(claimed, now=now, finished=partial(_answered, now))
        made.append(now)
        assert len(made) < 150, made[-5:]

    planned = polls(
        Entry("sandbox", start, known_at, ends_at, thin_to=15 * SECOND),
        planning.cadence(),
        assume=Assumptions(late=late * SECOND),
    )
    assert made == [poll.at for poll in planned]
    assert set(PollLog.objects.values_list("state", flat=True)) == {"ok"}
    planning.cadence.cache_clear()


def _answered(now: datetime) -> datetime:
    return now + ANSWERED_IN


# --- the command --------------------------------------------------------------------------------------------

in_a_database = pytest.mark.django_db


def plan_day(capsys: pytest.CaptureFixture[str], *options: str, now: datetime = START - timedelta(hours=3)) -> str:
    with time_machine.travel(now, tick=False):
        call_command("plan_day", *options)
    return capsys.readouterr().out


@in_a_database
def test_plan_day_tells_the_next_24_hours(capsys: pytest.CaptureFixture[str]) -> None:
    for minutes in (0, 2, 2000):
        make_race(start=at(minutes))
    make_race(start=at(1), polling_paused=True)
    said = plan_day(capsys)
    assert said.splitlines()[0] == "from 2026-11-23 00:00 to 2026-11-24 00:00 UTC: 2 races"
    assert "sandbox: 2 races, 86 polls in 86 requests; at most 8 a minute at 02:57 UTC; quota 240 a minute" in said


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

    def told(*options: str) -> dict[str, Any]:
        [document] = json.loads(plan_day(capsys, "--date", "2026-11-23", "--json", *options))
        return dict(document)

    plain = told()
    assert (plain["races"], plain["polls"]) == (2, 38 * 2 + 4 + 3 + 2 * 2)
    assert sum(plain["by_minute"].values()) == plain["requests"]
    assert told("--late", "6m")["polls"] == plain["polls"] + 1
    assert told("--cadence", str(windows))["polls"] < plain["polls"] / 2
    tight = told("--quota", "3")
    assert tight["quota"]["a_minute"] == 3
    assert max(tight["over"].values()) == plain["peak"]["requests"] - 3


@in_a_database
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--date", "today"], "--date is 'today', not YYYY-MM-DD"),
        (["--late", "3"], "--late is '3', not like 90s, 3m or 1h"),
        (["--quota", "0"], "--quota must be at least 1"),
        (["--cadence", "/nowhere"], "--cadence: /nowhere cannot be read"),
    ],
)
def test_plan_day_refuses_what_it_cannot_read(options: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as caught:
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
