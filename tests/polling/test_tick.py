"""The master tick: what it claims, what it logs, and that nothing escapes it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ

from polling import tick
from polling.models import PollingSwitch, PollLog, PollState, Tick, Trigger
from polling.monitoring import heartbeat
from polling.planning import replan
from polling.tick import NoTick
from races.models import Race
from tests.factories import START, make_log, make_race

pytestmark = pytest.mark.django_db(transaction=True)

STEP = timedelta(seconds=15)


def at(minutes: float, seconds: float = 0) -> datetime:
    """An instant relative to the start."""
    return START + timedelta(minutes=minutes, seconds=seconds)


def planned_race(*, now: datetime, start: datetime = START, **values: Any) -> Race:
    """A race whose next poll has been planned at `now`."""
    race = make_race(start=start, **values)
    replan([race.pk], now=now)
    return Race.objects.get(pk=race.pk)


def logs(race: Race) -> list[tuple[str, str, datetime]]:
    """The race's log, oldest first: trigger, state, slot."""
    return list(race.poll_logs.order_by("slot_at").values_list("trigger", "state", "slot_at"))


def test_a_due_race_is_claimed_planned_on_and_sent() -> None:
    race = planned_race(now=at(-61))
    done = tick.run(now=at(-60, 0.04))
    race.refresh_from_db()
    assert isinstance(done, Tick)
    assert (done.due, done.claimed, done.error) == (1, 1, "")
    assert logs(race) == [("slot", "claimed", at(-60))]
    assert race.next_poll_at == at(-55)
    assert OrmQ.objects.get().func() == "polling.tasks.poll_race"
    assert Tick.objects.get(slot_at=at(-60)).dispatched == 1


def test_the_same_slot_is_ticked_once_whoever_ticks() -> None:
    planned_race(now=at(-61))
    assert isinstance(tick.run(now=at(-60, 0.04)), Tick)
    assert tick.run(now=at(-60, 0.5)) is NoTick.TAKEN
    assert OrmQ.objects.count() == 1


def test_several_due_races_go_in_batches_the_urgent_ones_first() -> None:
    near = [planned_race(now=at(-3, -1)) for _ in range(2)]
    far = [planned_race(now=at(-3, -1), start=at(57)) for _ in range(2)]
    tick.run(now=at(-3))
    sent = [set(row.args()[0]) for row in OrmQ.objects.order_by("pk")]
    assert sent == [{log.pk for log in PollLog.objects.filter(race__in=group)} for group in (near, far)]
    assert {row.func() for row in OrmQ.objects.all()} == {"polling.tasks.poll_races"}


def test_a_race_that_is_not_due_is_left_alone() -> None:
    race = planned_race(now=at(-61))
    tick.run(now=at(-60, -15))
    assert logs(race) == []


def test_a_race_found_late_is_polled_at_the_next_tick_then_on_its_grid() -> None:
    race = planned_race(now=at(-37, 4))
    tick.run(now=at(-37, 15))
    race.refresh_from_db()
    assert logs(race) == [("found", "claimed", at(-37, 15))]
    assert race.next_poll_at == at(-35)


def test_a_start_that_moved_nearer_is_polled_at_once() -> None:
    race = planned_race(now=at(-51))
    make_log(race, slot_at=at(-50))
    Race.objects.filter(pk=race.pk).update(advertised_start=at(-43))
    replan([race.pk], now=at(-49))
    tick.run(now=at(-49, 15))
    assert logs(race)[-1] == ("found", "claimed", at(-49, 15))


def test_slots_that_passed_during_an_outage_are_logged_as_missed() -> None:
    race = planned_race(now=at(-5, -1))
    tick.run(now=at(-4, -29.9))
    assert logs(race) == [
        ("slot", "missed", at(-5)),
        ("slot", "missed", at(-5, 15)),
        ("slot", "claimed", at(-5, 30)),
    ]


def test_after_a_long_outage_at_most_forty_missed_slots_are_logged() -> None:
    race = planned_race(now=at(-61))
    tick.run(now=at(300))
    assert race.poll_logs.filter(state=PollState.MISSED.value).count() == 40
    assert race.poll_logs.filter(state=PollState.CLAIMED.value).count() == 1


def test_a_failed_poll_is_retried_at_the_next_tick() -> None:
    race = planned_race(now=at(-61))
    make_log(race, slot_at=at(-60), state=PollState.FAILED)
    Race.objects.filter(pk=race.pk).update(failures=1)
    replan([race.pk], now=at(-60, 1))
    tick.run(now=at(-60, 15))
    assert logs(race)[-1] == ("retry", "claimed", at(-60, 15))


def test_a_claim_whose_worker_died_is_lost_and_retried_in_the_same_tick() -> None:
    race = planned_race(now=at(-61))
    lost = make_log(race, slot_at=at(-60), state=PollState.RUNNING)
    replan([race.pk], now=at(-60, 1))
    tick.run(now=at(-60, 15))
    assert logs(race) == [("slot", "running", at(-60))]
    tick.run(now=at(-60, 30))
    assert logs(race) == [("slot", "lost", at(-60)), ("retry", "claimed", at(-60, 30))]
    assert race.poll_logs.get(trigger=Trigger.RETRY.value).retry_of == lost
    race.refresh_from_db()
    assert race.failures == 1


def test_a_lost_poll_of_a_race_that_has_ended_since_is_not_retried() -> None:
    race = planned_race(now=at(-61))
    make_log(race, slot_at=at(-60), state=PollState.RUNNING)
    ended = {"status": "finalized", "finalized_by": "staff", "finalized_at": at(-59)}
    Race.objects.filter(pk=race.pk).update(next_poll_at=None, **ended)
    tick.run(now=at(-58))
    assert logs(race) == [("slot", "lost", at(-60))]


def test_a_slot_that_falls_into_a_running_poll_is_logged_as_busy() -> None:
    race = planned_race(now=at(-5, -1))
    make_log(race, slot_at=at(-5), state=PollState.RUNNING)
    replan([race.pk], now=at(-5, 1))
    tick.run(now=at(-5, 15))
    assert race.poll_logs.get(slot_at=at(-5, 15)).reason == "busy"


def test_a_claim_that_no_worker_began_gives_way_to_the_next_slot() -> None:
    race = planned_race(now=at(-5, -1))
    tick.run(now=at(-5))
    tick.run(now=at(-5, 15))
    assert logs(race) == [("slot", "skipped", at(-5)), ("slot", "claimed", at(-5, 15))]


def test_while_all_polling_is_paused_slots_are_logged_and_nothing_is_sent() -> None:
    PollingSwitch.objects.create(pk=1, paused=True, reason="the provider is moving")
    race = planned_race(now=at(-61))
    tick.run(now=at(-60))
    race.refresh_from_db()
    assert race.poll_logs.get().reason == "paused"
    assert race.next_poll_at == at(-55)
    assert not OrmQ.objects.exists()


@pytest.mark.parametrize("values", [{"polling_paused": True}, {"provider_race_id": ""}], ids=["paused", "by hand"])
def test_a_race_that_is_not_to_be_polled_has_no_plan(values: dict[str, Any]) -> None:
    assert planned_race(now=at(-30), **values).next_poll_at is None


def test_a_retry_names_the_poll_it_is_a_retry_of() -> None:
    race = planned_race(now=at(-61))
    failed = make_log(race, slot_at=at(-60), state=PollState.FAILED)
    Race.objects.filter(pk=race.pk).update(failures=1)
    replan([race.pk], now=at(-60, 1))
    tick.run(now=at(-60, 15))
    assert race.poll_logs.get(trigger=Trigger.RETRY.value).retry_of == failed


def test_a_tick_that_raises_leaves_its_error_and_the_next_one_works() -> None:
    race = planned_race(now=at(-61))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE polling_polllog RENAME TO elsewhere")
        try:
            failed = tick.run(now=at(-60))
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO polling_polllog")
    assert isinstance(failed, Tick)
    assert "polling_polllog" in Tick.objects.get(slot_at=at(-60)).error
    assert (failed.due, failed.claimed) == (0, 0)
    tick.run(now=at(-60, 15))
    assert ("slot", "claimed", at(-60)) in logs(race)


@pytest.mark.parametrize("minutes", [-60, -3])
def test_a_tick_costs_the_same_queries_whatever_is_due(minutes: int) -> None:
    heartbeat.record(now=at(-120))

    def queries(count: int, now: datetime) -> int:
        Race.objects.update(next_poll_at=None)
        for _ in range(count):
            planned_race(now=now - timedelta(seconds=1), start=now - timedelta(minutes=minutes))
        PollLog.objects.open().update(state=PollState.OK.value)
        OrmQ.objects.all().delete()
        with CaptureQueriesContext(connection) as seen:
            done = tick.run(now=now)
        assert isinstance(done, Tick)
        assert done.claimed == count
        return len([query for query in seen if "django_q_ormq" not in query["sql"]])

    assert queries(2, at(0)) == queries(9, at(120))
