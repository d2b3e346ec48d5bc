"""Every slot of the cadence's table leaves a row: a poll, or why there was none. Over days, with and without tokens."""

from collections import Counter
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import pytest

from polling import dispatch, importing, planning, tick
from polling.models import Incident, PollLog, PollState, ProviderState
from polling.monitoring import heartbeat
from races.models import Race
from tests.factories import START, make_log
from tests.polling.conftest import ProviderBox
from tests.polling.driving import STEP, Driver, next_due, ticks

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
EVERY = 5 * MINUTE


def drive(driver: Driver, since: datetime, until: datetime) -> None:
    """Every tick at which anything is due, an import every five minutes, and what a cluster does in between."""
    for slot in ticks(since, until):
        if (slot - since) % EVERY == timedelta():
            driver.provider.now[0] = slot
            importing.import_all(now=slot - timedelta(seconds=10))
        due_at = next_due()
        if due_at and due_at <= slot:
            driver.tick(slot)


def slots_without_a_row(race: Race, *, known_at: datetime, until: datetime) -> list[datetime]:
    """The slots of the race's grid from when it was known on, up to its end, that nothing was logged for."""
    logged = set(race.poll_logs.values_list("slot_at", flat=True))
    ended_at = min(race.finalized_at or until, until)
    cadence = planning.default_cadence()
    # Past the start the grid depends on how long the race waited for its jump, and what follows on its end.
    slots = cadence.plan(race.advertised_start, until=min(ended_at, race.advertised_start))
    return [slot for slot in slots if slot > known_at and slot not in logged]


def unmoved(since: datetime) -> list[Race]:
    """The races whose start never moved, since a grid that is replaced is no longer the race's."""
    races = [race for race in Race.objects.all() if race.advertised_start == race.original_advertised_start]
    return [race for race in races if race.advertised_start > since]


def outcomes() -> Counter[str]:
    logs = PollLog.objects.values_list("state", "reason")
    return Counter(f"{state} {reason}".strip() for state, reason in logs)


def assert_every_slot_has_a_row(driver: Driver, minutes: int, *, is_throttled: bool) -> None:
    until = START + minutes * MINUTE
    drive(driver, START, until)
    found = outcomes()
    assert bool(found["skipped throttled"]) is is_throttled, found
    assert bool(found["skipped quota"]) is is_throttled, found
    races = unmoved(START)
    assert len(races) > 20
    without = {str(race): slots_without_a_row(race, known_at=START, until=until) for race in races}
    assert without == {str(race): [] for race in races}


TOKENS = [pytest.param((240, 60, 5), id="tokens to spare"), pytest.param((10, 8, 2), id="so few that it is throttled")]


@pytest.mark.parametrize("tokens", TOKENS)
def test_every_slot_before_the_start_has_a_poll_or_a_row_that_says_why_not(
    provider: ProviderBox, settings: Any, tokens: tuple[int, int, int]
) -> None:
    settings.POLL_REQUESTS = tokens
    assert_every_slot_has_a_row(Driver(provider), 12, is_throttled=tokens[0] < 240)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tokens", TOKENS)
def test_every_slot_of_a_day_has_a_poll_or_a_row_that_says_why_not(
    provider: ProviderBox, settings: Any, tokens: tuple[int, int, int]
) -> None:
    settings.POLL_REQUESTS = tokens
    assert_every_slot_has_a_row(Driver(provider), 12 * 60, is_throttled=tokens[0] < 240)


def test_a_fresh_start_an_outage_and_a_429_throttle_nothing_and_the_start_skips_nothing(provider: ProviderBox) -> None:
    driver = Driver(provider)
    drive(driver, START, START + 5 * MINUTE)
    assert set(outcomes()) == {"ok"}, "from an empty database on"
    drive(driver, START + 20 * MINUTE, START + 21 * MINUTE)
    provider.fault("rate_limited", times=1, retry_after=60)
    drive(driver, START + 21 * MINUTE, START + 24 * MINUTE)
    provider.fault("error", times=None)
    for slot in ticks(START + 24 * MINUTE + STEP, START + 27 * MINUTE):
        driver.tick(slot)
    provider.mend()
    drive(driver, START + 27 * MINUTE + STEP, START + 30 * MINUTE)
    assert ProviderState.objects.get().throttle_changed_at is None
    assert not Incident.objects.filter(kind="throttled").exists()
    assert outcomes()["missed"], "fifteen minutes without a tick"


def test_a_shortage_that_lasted_is_over_soon_after_it_ends(provider: ProviderBox, settings: Any) -> None:
    driver = Driver(provider)
    settings.POLL_REQUESTS = (10, 8, 2)
    drive(driver, START, START + 6 * MINUTE)
    assert ProviderState.objects.get().throttle_factor > 1
    settings.POLL_REQUESTS = (240, 60, 5)
    drive(driver, START + 6 * MINUTE + STEP, START + 8.5 * MINUTE)
    assert ProviderState.objects.get().throttle_factor == 1
    assert not Incident.objects.filter(kind="throttled", ended_at__isnull=True).exists()


def test_slots_before_the_first_tick_of_all_are_not_missed(provider: ProviderBox) -> None:
    importing.import_schedule("sandbox", now=START)
    tick.run(now=START + 2 * MINUTE)
    assert PollLog.objects.exists()
    assert not PollLog.objects.filter(state=PollState.MISSED.value).exists()


def test_slots_that_an_outage_swallows_after_it_are_missed(provider: ProviderBox) -> None:
    importing.import_schedule("sandbox", now=START)
    heartbeat.record(now=START)
    tick.run(now=START + 2 * MINUTE)
    assert PollLog.objects.filter(state=PollState.MISSED.value).exists()


def test_first_polls_that_find_no_token_wait_for_the_next_tick(provider: ProviderBox) -> None:
    """As where the worker's first tick comes late, and all that was spread over several ticks is due at once."""
    importing.import_schedule("sandbox", now=START - timedelta(seconds=80))
    driver = Driver(provider)
    driver.tick(START - timedelta(seconds=45))
    waiting = PollLog.objects.waiting()
    assert waiting.count() > 0
    assert not waiting.filter(started_at__isnull=False).exists()
    for slot in ticks(START - timedelta(seconds=30), START - STEP):
        driver.tick(slot)
    assert set(outcomes()) == {"ok"}


def test_first_polls_wait_where_their_tokens_are_wanted_for_slots(provider: ProviderBox) -> None:
    """The first tick comes late, and lies on a minute, at which many races have a slot."""
    importing.import_schedule("sandbox", now=START - timedelta(seconds=20))
    driver = Driver(provider)
    for slot in ticks(START, START + 4 * STEP):
        driver.tick(slot)
    found = outcomes()
    assert set(found) == {"ok"}, found


def test_first_polls_leave_every_slot_its_token_whichever_worker_is_first(provider: ProviderBox) -> None:
    importing.import_schedule("sandbox", now=START - timedelta(seconds=20))
    tick.run(now=START)
    sent = PollLog.objects.filter(state=PollState.CLAIMED.value).count()
    assert PollLog.objects.waiting().exists()
    assert sent + ceil(sent / dispatch.max_batch("sandbox")) <= planning.far_share()


def test_a_first_poll_that_waits_gives_way_to_the_first_slot(provider: ProviderBox) -> None:
    [race, *_] = provider.import_card()
    waiting = make_log(race, slot_at=START - STEP, state=PollState.WAITING, trigger="found", finished_at=None)
    Race.objects.exclude(pk=race.pk).update(next_poll_at=None)
    Race.objects.filter(pk=race.pk).update(next_poll_at=START)
    tick.run(now=START)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.reason) == ("skipped", "stale")
    assert race.poll_logs.get(slot_at=START).state == "claimed"
