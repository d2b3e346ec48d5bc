"""When far windows are throttled, and when they are released: for a shortage that lasts, and no longer than it does."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from polling import tick
from polling.cadence import DEFAULT_WINDOWS, Cadence, read_windows
from polling.models import Incident, PollLog, PollState, ProviderState, SkipReason
from polling.planning import replan
from polling.quota import throttle
from polling.quota.throttle import Shortage, next_factor
from races.models import Race
from tests.factories import START, make_log, make_race

TICK = timedelta(seconds=15)
in_a_database = pytest.mark.django_db(transaction=True)
CADENCE = Cadence(DEFAULT_WINDOWS, TICK)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def ago(seconds: float | None) -> datetime | None:
    return None if seconds is None else START - timedelta(seconds=seconds)


def following(
    factor: int, *, changed: float | None = None, since: float | None = None, at: float | None = None, fits: bool
) -> int:
    """The factor that follows; seconds before now."""
    shortage = Shortage(ago(since), ago(at))
    return next_factor(factor, changed_at=ago(changed), shortage=shortage, fits=fits, now=START, tick=TICK)


@pytest.mark.parametrize(
    ("since", "at", "wanted"),
    [
        pytest.param(None, None, 1, id="never short"),
        pytest.param(0, 0, 1, id="short at this tick"),
        pytest.param(45, 0, 1, id="short for a few ticks, as after a first import, an outage or a 429"),
        pytest.param(179, 10, 1, id="almost three minutes"),
        pytest.param(180, 10, 2, id="three minutes, tick after tick"),
        pytest.param(180, 26, 1, id="ended a tick ago"),
        pytest.param(600, 300, 1, id="long over"),
    ],
)
def test_far_windows_are_throttled_for_a_shortage_that_lasted(
    since: float | None, at: float | None, wanted: int
) -> None:
    assert following(1, since=since, at=at, fits=False) == wanted


@pytest.mark.parametrize(
    ("factor", "changed", "wanted"),
    [
        pytest.param(2, 119, 2, id="changed only now"),
        pytest.param(2, 120, 4, id="short still after two minutes"),
        pytest.param(4, 600, 4, id="no further than one in four"),
    ],
)
def test_a_shortage_that_goes_on_throttles_more(factor: int, changed: float, wanted: int) -> None:
    assert following(factor, changed=changed, since=900, at=5, fits=False) == wanted


@pytest.mark.parametrize(
    ("factor", "changed", "at", "fits", "wanted"),
    [
        pytest.param(4, 600, 59, True, 4, id="calm for less than a minute"),
        pytest.param(4, 600, 60, True, 1, id="calm for a minute, and all polls would fit"),
        pytest.param(2, 59, 600, True, 2, id="changed less than a minute ago"),
        pytest.param(4, 600, 300, False, 4, id="calm, because slots are left out"),
        pytest.param(4, 600, 600, False, 2, id="calm for so long that polls must share requests"),
        pytest.param(2, 600, 600, False, 1, id="one step at a time"),
        pytest.param(1, 600, 600, True, 1, id="and no further"),
    ],
)
def test_far_windows_are_released_soon_after_it_ends(
    factor: int, changed: float, at: float, fits: bool, wanted: int
) -> None:
    assert following(factor, changed=changed, since=at + 200, at=at, fits=fits) == wanted


def kept(cadence: Cadence, factor: int, min_interval: timedelta = timedelta()) -> list[datetime]:
    slots = cadence.plan(START, until=START + timedelta(hours=1), min_interval=min_interval)
    return [slot for slot in slots if cadence.keeps(START, slot, factor=factor, min_interval=min_interval)]


@pytest.mark.parametrize("factor", [2, 4])
def test_a_throttle_leaves_slots_out_and_adds_none_and_keeps_the_last_five_minutes_and_all_after_the_start(
    factor: int,
) -> None:
    whole = CADENCE.plan(START, until=START + timedelta(hours=1))
    left = kept(CADENCE, factor)
    last = START - timedelta(minutes=5)
    assert [slot for slot in left if slot >= last] == [slot for slot in whole if slot >= last]
    assert len([slot for slot in left if slot < last]) == {2: 4 + 3 + 3, 4: 2 + 2 + 2}[factor]


def test_no_throttle_leaves_out_nothing() -> None:
    assert kept(CADENCE, 1) == CADENCE.plan(START, until=START + timedelta(hours=1))


def test_a_window_that_opens_before_the_last_five_minutes_is_not_throttled_within_them() -> None:
    cadence = Cadence(read_windows("60:300,10:15,0:300"), TICK)
    last = START - timedelta(minutes=5)
    left = [slot for slot in kept(cadence, 4) if slot < START]
    assert [slot for slot in left if slot >= last] == cadence.plan(START, until=START)[-20:]
    assert len([slot for slot in left if last - timedelta(minutes=5) <= slot < last]) == 5


def test_of_a_grid_that_the_provider_thins_slots_are_left_out_too() -> None:
    min_interval = timedelta(seconds=150)
    whole = CADENCE.plan(START, until=START - timedelta(minutes=5, seconds=1), min_interval=min_interval)
    left = [slot for slot in kept(CADENCE, 2, min_interval) if slot in whole]
    assert len(whole) / 2 <= len(left) < len(whole)


# --- through real ticks --------------------------------------------------------------------------------


def short(*, since: float, at: float) -> None:
    ProviderState.objects.update_or_create(
        name="sandbox", defaults={"short_since": after(since), "short_at": after(at)}
    )


def logs(race: Race) -> list[str]:
    """What came of the race's slots, the oldest first."""
    return [f"{log.state} {log.reason}".strip() for log in race.poll_logs.order_by("slot_at")]


@in_a_database
def test_far_slots_are_left_out_while_tokens_run_short_and_each_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    far, near = make_race(start=after(55 * 60)), make_race(start=after(180))
    replan([far.pk, near.pk], now=after(-1))
    short(since=-200, at=-5)
    tick.run(now=START)  # T-55, the second slot of its window
    state, incident = ProviderState.objects.get(), Incident.objects.get()
    assert (state.throttle_factor, state.throttle_changed_at) == (2, START)
    assert (incident.kind, incident.ended_at, "one in 2" in incident.reason) == ("throttled", None, True)
    assert (logs(far), logs(near)) == (["skipped throttled"], ["claimed"])
    assert far.poll_logs.get().message == "tokens run short: far slots are left out"
    assert Race.objects.get(pk=far.pk).next_poll_at == after(300), "the slot after it is the next to be decided on"

    tick.run(now=after(300))
    assert logs(far) == ["skipped throttled", "claimed"]
    assert ProviderState.objects.get().throttle_factor == 1
    assert Incident.objects.get().ended_at == after(300)
    assert "no longer throttled" in caplog.text


@in_a_database
def test_a_failure_that_is_tried_again_and_a_detail_that_is_owed_are_not_left_out() -> None:
    failed, owed = make_race(start=after(55 * 60), failures=1), make_race(start=after(55 * 60), detail_wanted=True)
    Race.objects.update(next_poll_at=START)
    short(since=-200, at=-5)
    tick.run(now=START)
    assert (logs(failed), logs(owed)) == (["claimed"], ["claimed"])


@in_a_database
def test_the_throttle_stays_while_all_polls_would_not_fit(settings: Any) -> None:
    settings.POLL_REQUESTS = (10, 10, 2)
    race = make_race()
    ProviderState.objects.create(
        name="sandbox", throttle_factor=2, throttle_changed_at=after(-300), short_at=after(-120)
    )
    for count in range(19):
        reason = SkipReason.THROTTLED.value if count % 2 else ""
        state = PollState.SKIPPED if count % 2 else PollState.OK
        make_log(race, slot_at=after(-count - 1), state=state, reason=reason)
    assert throttle.adjust(now=START) == {"sandbox": 2}, "19 polls in two minutes, where 18 fit"
    PollLog.objects.filter(pk__in=race.poll_logs.values("pk")[:1]).delete()
    assert throttle.adjust(now=START) == {"sandbox": 1}


@in_a_database
def test_what_is_bookkept_of_the_throttle_does_not_hold_the_tick(caplog: pytest.LogCaptureFixture) -> None:
    race = make_race(start=after(55 * 60))
    replan([race.pk], now=after(-1))
    short(since=-200, at=-5)
    rename = "ALTER TABLE {} RENAME TO {}".format
    connection.cursor().execute(rename("polling_incident", "elsewhere"))
    try:
        tick.run(now=START)
    finally:
        connection.cursor().execute(rename("elsewhere", "polling_incident"))
    assert logs(race) == ["claimed"]
    assert "the throttle cannot be adjusted; slots are polled as planned" in caplog.text


@in_a_database
def test_a_provider_with_tokens_to_spare_costs_one_query(django_assert_num_queries: Any) -> None:
    ProviderState.objects.create(name="sandbox")
    with django_assert_num_queries(1):
        throttle.adjust(now=START)
