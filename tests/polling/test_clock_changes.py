"""A clock that is set, and nights in which clocks change: through real ticks and pollers."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.management import call_command
from django_q.models import OrmQ

from polling import planning, tick
from polling.errors import Unavailable
from polling.models import Heartbeat, PollLog, PollState, ProviderState
from polling.monitoring import heartbeat
from polling.quota import request_budget
from races.models import Race
from tests.factories import START, make_meeting, make_race
from tests.polling.conftest import ProviderBox
from tests.polling.driving import STEP, TICK_LATE, Driver, polled, ticks

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)


def at(minutes: float, seconds: float = 0) -> datetime:
    return START + minutes * MINUTE + timedelta(seconds=seconds)


def known_races(provider: ProviderBox, *starts: datetime, first_poll: datetime) -> list[Race]:
    """The only races, open and advertised for these starts; polled from this slot on."""
    provider.now[0] = first_poll
    races = provider.import_card()[: len(starts)]
    Race.objects.exclude(pk__in=[race.pk for race in races]).delete()
    for race, start in zip(races, starts, strict=True):
        provider.steer(race, advertised_start=start.isoformat(), status="Open")
        values = {"advertised_start": start, "provider_start": start, "status": "scheduled", "next_poll_at": None}
        Race.objects.filter(pk=race.pk).update(**values)
    planning.replan([race.pk for race in races], now=first_poll - timedelta(seconds=1))
    provider.forget_requests()
    return races


def is_healthy(now: datetime) -> bool:
    """Whether the health check is content; it raises where not."""
    with time_machine.travel(now, tick=False):
        call_command("healthcheck", verbosity=0)
    return not heartbeat.alert_if_overdue(now=now)


def requests_by_instant(driver: Driver, race: Race) -> Counter[str]:
    return Counter(entry["at"] for entry in driver.provider.requests(race.provider_race_id))


def test_a_clock_set_back_repeats_no_slot_and_polls_go_on_at_the_first_new_one(driver: Driver) -> None:
    [race] = known_races(driver.provider, START, first_poll=at(-4))
    driver.drive(at(-4), at(-2))
    before = polled(race)
    for slot in ticks(at(-4), at(-2)):
        driver.tick(slot)
        assert is_healthy(slot + TICK_LATE)
    assert polled(race) == before == list(ticks(at(-4), at(-2)))
    driver.drive(at(-2, 15), at(0))
    assert polled(race) == list(ticks(at(-4), at(0)))
    assert set(requests_by_instant(driver, race).values()) == {1}
    assert not race.poll_logs.exclude(state=PollState.OK.value).exists()
    heartbeat_row = Heartbeat.objects.get()
    assert (heartbeat_row.at, heartbeat_row.overdue_since) == (at(0) + TICK_LATE, None)


def test_a_clock_set_back_wedges_neither_a_claim_nor_tokens_nor_the_breaker(driver: Driver) -> None:
    """A worker dies, the tokens are spent and the breaker has opened, all a moment before."""
    [race] = known_races(driver.provider, START, first_poll=at(-4))
    driver.drive(at(-4), at(-2, -15))
    tick.run(now=at(-2) + TICK_LATE)
    OrmQ.objects.all().delete()
    PollLog.objects.open().update(state=PollState.RUNNING.value, started_at=at(-2))
    request_budget.charge("sandbox", 60, now=at(-2))
    request_budget.record_answers("sandbox", [Unavailable("503")] * 5, now=at(-2))
    driver.drive(at(-4), at(0))
    states = dict(race.poll_logs.filter(slot_at__gte=at(-2)).values_list("slot_at", "state"))
    assert states[at(-2)] == "lost"
    assert list(states) and set(states) == set(ticks(at(-2), at(0)))
    assert [states[slot] for slot in ticks(at(-1), at(0))] == ["ok"] * 5
    state = ProviderState.objects.get()
    assert (state.breaker, state.throttle_factor) == ("closed", 1)
    assert set(requests_by_instant(driver, race).values()) == {1}


def test_a_clock_set_back_in_the_middle_of_a_poll_gives_it_no_negative_time() -> None:
    log = PollLog(slot_at=at(-4), started_at=at(-2), finished_at=at(-4))
    assert log.duration == timedelta()


def test_a_clock_set_forward_leaves_missed_slots_and_polls_the_newest_at_once(driver: Driver) -> None:
    [race] = known_races(driver.provider, START, first_poll=at(-4))
    driver.drive(at(-4), at(-3))
    driver.drive(at(-1), at(0))
    assert polled(race, PollState.MISSED) == list(ticks(at(-3, 15), at(-1) - STEP))
    assert polled(race) == [*ticks(at(-4), at(-3)), *ticks(at(-1), at(0))]
    assert set(requests_by_instant(driver, race).values()) == {1}
    assert is_healthy(at(0) + TICK_LATE)


def test_a_poll_under_way_when_the_clock_is_set_forward_is_lost_once_and_tried_again(driver: Driver) -> None:
    [race] = known_races(driver.provider, START, first_poll=at(-4))
    driver.drive(at(-4), at(-3, -15))
    tick.run(now=at(-3) + TICK_LATE)
    OrmQ.objects.all().delete()
    driver.drive(at(-1), at(0))
    assert race.poll_logs.get(slot_at=at(-3)).state == "lost"
    assert polled(race)[-5:] == list(ticks(at(-1), at(0)))


CHANGES: list[Any] = [
    pytest.param("Pacific/Auckland", "2026-09-26T14:00+00:00", id="Auckland, forward"),
    pytest.param("Pacific/Auckland", "2027-04-03T14:00+00:00", id="Auckland, back"),
    pytest.param("Europe/London", "2026-10-25T01:00+00:00", id="London, back"),
    pytest.param("Europe/London", "2027-03-28T01:00+00:00", id="London, forward"),
]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_a_night_in_which_clocks_change_bends_no_grid(name: str, change: str) -> None:
    """A race on each side of the change, both described in local time: their slots lie in UTC as those of any race."""
    zone, changes_at = ZoneInfo(name), datetime.fromisoformat(change)
    offsets = {(changes_at + side).astimezone(zone).utcoffset() for side in (-MINUTE, MINUTE)}
    assert len(offsets) == 2, "the clocks change here"
    starts = {
        make_race(start=start.astimezone(zone), meeting=make_meeting(timezone=name)): start
        for start in (changes_at - 20 * MINUTE, changes_at + 20 * MINUTE)
    }
    planning.replan([race.pk for race in starts], now=changes_at - 90 * MINUTE)
    for slot in ticks(changes_at - 80 * MINUTE, changes_at + 20 * MINUTE):
        if Race.objects.due(now=slot).exists():
            tick.run(now=slot + TICK_LATE)
            PollLog.objects.open().update(state=PollState.OK.value)
    for race, start in starts.items():
        slots = [slot for slot in polled(race) if slot < start]
        steps = [(later - earlier) / MINUTE for earlier, later in pairwise([*slots, start])]
        assert slots[0] == start - 60 * MINUTE
        assert steps == [5] * 8 + [2] * 5 + [1] * 5 + [0.25] * 20
        assert race.poll_logs.filter(slot_at__lt=start).count() == 38
