"""The heartbeat of the master tick: what records it, who reports that it is gone, and ticks with nothing to do."""

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_httpserver import HTTPServer

from polling import planning, staff, tick
from polling.health import doctor
from polling.models import Heartbeat, PollState, Tick, Trigger
from polling.monitoring import heartbeat, ping
from polling.monitoring.heartbeat import Condition
from polling.tick import NoTick
from races.decisions import COMMAND
from races.models import Race
from tests.factories import START, make_log, make_race

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = timedelta(seconds=1)


def after(seconds: float) -> datetime:
    return START + seconds * SECOND


def planned_race(start: datetime) -> Race:
    race = make_race(start=start)
    planning.replan([race.pk], now=START)
    return Race.objects.get(pk=race.pk)


# --- sleeping -----------------------------------------------------------------------------------------------


def test_a_tick_with_nothing_due_within_the_hour_is_one_query_and_a_heartbeat() -> None:
    planned_race(after(3 * 3600))
    heartbeat.record(now=START)
    with CaptureQueriesContext(connection) as seen:
        assert tick.run(now=after(15)) is NoTick.ASLEEP
    statements = [query["sql"].split()[0] for query in seen]
    assert [word for word in statements if word not in ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")] == [
        "SELECT",
        "UPDATE",
    ]
    recorded = Heartbeat.objects.get()
    assert (recorded.at, recorded.sleeping_until) == (after(15), after(2 * 3600))
    assert not Tick.objects.exists()


def test_a_tick_without_any_race_sleeps_too() -> None:
    assert tick.run(now=START) is NoTick.ASLEEP
    assert Heartbeat.objects.get().sleeping_until == after(3600)


def test_an_hour_before_the_next_slot_ticks_are_awake() -> None:
    race = planned_race(after(2 * 3600 + 5))
    assert tick.run(now=after(-15)) is NoTick.ASLEEP
    assert isinstance(tick.run(now=after(15)), Tick)
    assert Heartbeat.objects.get().sleeping_until is None
    tick.run(now=after(3600))
    assert race.poll_logs.get().slot_at == after(3600)


@pytest.mark.parametrize("how", ["imported", "moved", "forced"])
def test_whatever_is_wanted_meanwhile_wakes_it_at_the_next_slot(how: str) -> None:
    race = planned_race(after(5 * 3600))
    assert tick.run(now=START) is NoTick.ASLEEP
    if how == "imported":
        race = planned_race(after(120))
    elif how == "moved":
        Race.objects.filter(pk=race.pk).update(advertised_start=after(120))
        planning.replan([race.pk], now=after(1))
    else:
        staff.force_poll([race.pk], by=COMMAND, reason="to see", now=after(1))
    assert isinstance(tick.run(now=after(15)), Tick)
    assert race.poll_logs.exists()


def test_an_open_claim_keeps_ticks_awake_until_it_is_finished_or_lost() -> None:
    race = planned_race(after(5 * 3600))
    log = make_log(race, slot_at=START, state=PollState.RUNNING, trigger=Trigger.FORCED.value)
    assert isinstance(tick.run(now=after(15)), Tick)
    assert isinstance(tick.run(now=after(30)), Tick)
    log.refresh_from_db()
    assert log.state == "lost"


# --- overdue ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        pytest.param(None, Condition.MISSING, id="none ever"),
        pytest.param(Heartbeat(at=START - 37.5 * SECOND), Condition.ON_TIME, id="at the limit"),
        pytest.param(Heartbeat(at=START - 37.6 * SECOND), Condition.OVERDUE, id="past it"),
        pytest.param(Heartbeat(at=START + 60 * SECOND), Condition.ON_TIME, id="a clock set back"),
        pytest.param(Heartbeat(at=START, late_since=START), Condition.LATE, id="late"),
        pytest.param(Heartbeat(at=START - 60 * SECOND, late_since=START), Condition.OVERDUE, id="late, then gone"),
    ],
)
def test_how_ticks_come_is_judged_by_the_last_heartbeat(newest: Heartbeat | None, expected: Condition) -> None:
    assert heartbeat.condition(newest, limit=37.5 * SECOND, now=START) is expected


def test_an_overdue_tick_is_reported_once_by_whoever_notices_and_again_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heartbeat.record(now=START)
    assert not heartbeat.alert_if_overdue(now=after(37))
    assert [heartbeat.alert_if_overdue(now=after(second)) for second in (38, 39, 60)] == [True] * 3
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    heartbeat.record(now=after(75))
    heartbeat.record(now=after(90))
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    assert not heartbeat.alert_if_overdue(now=after(91))


def test_a_tick_that_fails_is_no_heartbeat() -> None:
    planned_race(after(60))
    heartbeat.record(now=START)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE polling_polllog RENAME TO elsewhere")
        try:
            tick.run(now=after(15))
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO polling_polllog")
    assert Heartbeat.objects.get().at == START


def test_a_clock_that_was_set_back_makes_no_tick_overdue() -> None:
    heartbeat.record(now=START)
    assert not heartbeat.alert_if_overdue(now=after(-120))


def test_ticks_none_of_which_ever_ended_well_are_overdue_and_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    Tick.objects.create(slot_at=START, started_at=START, error="no such table")
    assert not heartbeat.alert_if_overdue(now=after(37))
    assert [heartbeat.alert_if_overdue(now=after(second)) for second in (38, 53, 68)] == [True] * 3
    [words] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert words == "the master tick is overdue: none has ended well since the first, at 2026-11-23 03:00:00 UTC"
    assert heartbeat.last() is None
    caplog.clear()
    heartbeat.record(now=after(75))
    assert [record.getMessage() for record in caplog.records] == ["the master tick is back, the first that ended well"]
    assert heartbeat.last() is not None and not heartbeat.alert_if_overdue(now=after(90))


def test_before_the_first_tick_nothing_is_overdue() -> None:
    assert not heartbeat.alert_if_overdue(now=START)


# --- late ---------------------------------------------------------------------------------------------------


def record_ticks(*late_by: float | None, since: float = 0) -> None:
    """A tick for every slot from `since` on, ended so many seconds after it; None for a slot without one."""
    for count, late in enumerate(late_by):
        if late is not None:
            slot = after(since + 15 * count)
            heartbeat.record(now=slot, ended_at=slot + late * SECOND)


def reported(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


LATE = "ERROR the master tick comes late, slot after slot: this one ended 4.0 s after its slot"


@pytest.mark.parametrize(
    ("late_by", "is_alert"),
    [
        pytest.param((0.04,) * 8, False, id="on time"),
        pytest.param((2.9,) * 8, False, id="within the tolerance"),
        pytest.param((4, 4, 4), False, id="three in a row"),
        pytest.param((4, 0, 0, 4, 0, 0, 4, 0, 0, 4), False, id="now and then"),
        pytest.param((0, 4, 4, 4, 4), True, id="four in a row"),
        pytest.param((0, None, 4, None, 4), True, id="late, and only every other slot"),
        pytest.param((0, None, 0, None, 0, None, 0, None, 0), True, id="every other slot, on time"),
        pytest.param((0, 4, 4, 0, 4, 4, 0, 4, 4), True, id="most of them"),
    ],
)
def test_ticks_that_come_late_slot_after_slot_are_an_alert(
    late_by: tuple[float | None, ...], is_alert: bool, caplog: pytest.LogCaptureFixture
) -> None:
    record_ticks(*late_by)
    assert [words.split(":")[0] for words in reported(caplog)] == ([LATE.split(":")[0]] if is_alert else [])
    assert bool(Heartbeat.objects.get().late_since) is is_alert


def test_late_ticks_are_reported_once_and_their_end_once(caplog: pytest.LogCaptureFixture) -> None:
    record_ticks(0, *[4] * 10)
    assert reported(caplog) == [LATE]
    record_ticks(*[0.04] * 20, since=165)
    assert reported(caplog)[1:] == ["WARNING the master tick comes on time again, after 0:03:30 of late ones"]
    last = heartbeat.last()
    assert last is not None and (last.late_since, last.late_score) == (None, 0)


def test_late_ticks_fail_the_healthcheck_and_the_doctor_and_the_monitor_misses_us(
    settings: Any, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/ping").respond_with_data("OK")
    settings.MONITOR_PING_URL = httpserver.url_for("/ping")
    record_ticks(*[9] * 5)
    with (
        time_machine.travel(after(70), tick=False),
        pytest.raises(CommandError, match="ticks come late since") as caught,
    ):
        call_command("healthcheck")
    assert caught.value.returncode == 1
    [finding] = [finding for finding in doctor.examine(now=after(70)) if finding.check == "ticks"]
    assert (finding.state, "ticks come late since" in finding.words) == (doctor.State.FAILED, True)
    ping.ping_monitor(now=after(70))
    assert httpserver.log == []


def test_a_tick_that_takes_long_counts_as_late() -> None:
    planned_race(after(60))
    tick.run(now=START)
    tick.run(now=after(15) + 4 * SECOND)
    assert Heartbeat.objects.get().late_score > 0


def test_a_heartbeat_that_cannot_be_written_undoes_no_claim_and_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    race = planned_race(after(60))
    rename = "ALTER TABLE {} RENAME TO {}".format
    connection.cursor().execute(rename("polling_heartbeat", "elsewhere"))
    try:
        for seconds in (15, 30):
            # As in the sentinel, where the tick runs in the transaction of the queue's whole pass.
            with transaction.atomic():
                tick.run(now=after(seconds))
    finally:
        connection.cursor().execute(rename("elsewhere", "polling_heartbeat"))
    assert race.poll_logs.count() == 2
    tick.run(now=after(45))
    words = [record.getMessage() for record in caplog.records if "heartbeat" in record.getMessage()]
    assert [message.split(":")[0] for message in words] == [
        "the heartbeat cannot be written; ticks go on",
        "no longer, after 0",
    ]


# --- the command --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "options", "words"),
    [
        pytest.param(7, [], "7 s ago", id="well"),
        pytest.param(50, ["--max-age", "60"], "50 s ago", id="as old as it may be"),
    ],
)
def test_healthcheck_says_how_old_the_last_tick_is(
    age: int, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    heartbeat.record(now=after(-age))
    with time_machine.travel(START, tick=False):
        call_command("healthcheck", *options)
    assert words in capsys.readouterr().out


def test_healthcheck_says_until_when_ticks_sleep(capsys: pytest.CaptureFixture[str]) -> None:
    heartbeat.record(now=after(-5), sleeping_until=after(7200))
    with time_machine.travel(START, tick=False):
        call_command("healthcheck")
    assert "nothing is due before 05:00:00 UTC" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("age", "options", "code", "words"),
    [
        pytest.param(38, [], 1, "38 s ago, more than 37.5 s", id="two slots overdue"),
        pytest.param(11, ["--max-age", "10"], 1, "more than 10 s", id="older than asked"),
        pytest.param(None, [], 1, "no tick has ended well yet", id="none ever"),
        *(
            pytest.param(1, ["--max-age", age], 2, "must be above 0 and at most a year", id=f"an age of {age}")
            for age in ("0", "-1", "nan", "inf", "1e300", "31536001")
        ),
    ],
)
def test_healthcheck_fails_where_ticks_do_not_come(age: int | None, options: list[str], code: int, words: str) -> None:
    if age is not None:
        heartbeat.record(now=after(-age))
    with time_machine.travel(START, tick=False), pytest.raises(CommandError, match=words) as caught:
        call_command("healthcheck", *options)
    assert caught.value.returncode == code
