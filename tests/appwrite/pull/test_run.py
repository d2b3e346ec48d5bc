"""Pulling what changed in Appwrite into Django, over real HTTP to the stand-in."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django_q.models import OrmQ

from polling import clock, staff
from polling.appwrite import mapping, sync_state
from polling.appwrite.api import rows
from polling.appwrite.field_decisions import FIELD_DECISIONS
from polling.appwrite.merge import MANUAL_OWNERS, Owner
from polling.appwrite.pull import run as pull
from polling.appwrite.pull.run import Pulled
from polling.errors import Blocked, Unavailable
from polling.models import PollLog, SyncCheckpoint, SyncConflict, SyncState, Trigger, UnmatchedRow
from races.decisions import COMMAND
from races.models import Race
from tests.appwrite.conftest import NOW, PATIENCE, Appwrite, change, conflicts, pulled, pushed, state_of
from tests.appwrite.gate import Gate
from tests.factories import START, make_race, make_races
from tests.sandbox.appwrite_api import Client, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
REQUESTED = "2026-11-23T02:29:30.000+00:00"
MANY = 350
FAR_AHEAD = "2099-01-01T00:00:00.000+00:00"


@pytest.fixture
def race(appwrite: Appwrite) -> Race:
    """A race that both sides agree on."""
    race = make_race()
    pushed()
    pulled()
    appwrite.forget()
    return race


def edit(appwrite: Appwrite, race: Race, **values: Any) -> None:
    """What somebody does to a race in Appwrite."""
    appwrite.edit(state_of(race).remote_id, **values)


def audit(race: Race) -> list[tuple[str, str]]:
    entries = LogEntry.objects.filter(object_id=str(race.pk)).order_by("pk")
    return [(entry.user.username, entry.change_message) for entry in entries]


def test_nothing_changed_costs_one_read_and_no_write(appwrite: Appwrite, race: Race) -> None:
    assert pulled() == Pulled()
    pushed()
    assert appwrite.asked() == [f"GET {appwrite.path}"]


def test_echoes_of_our_own_writes_are_not_even_read(appwrite: Appwrite) -> None:
    races = [make_race() for _ in range(20)]
    pushed()
    for race in races:
        change(race, provider_status="Closed")
    pushed()
    appwrite.forget()
    assert pulled() == Pulled()
    assert appwrite.asked() == [f"GET {appwrite.path}"]


# --- what comes in --------------------------------------------------------------------------------------------------


def test_a_note_and_an_end_set_there_arrive_with_an_audit_entry(appwrite: Appwrite, race: Race) -> None:
    edit(appwrite, race, staff_note="stewards' inquiry", status="finalized")
    assert (pulled().taken, pulled().taken) == (1, 0)
    race.refresh_from_db()
    assert (race.staff_note, race.status, race.finalized_by) == ("stewards' inquiry", "finalized", "appwrite")
    assert race.next_poll_at is None
    assert sorted(audit(race)) == [
        ("appwrite", "Finalized: set in Appwrite"),
        ("appwrite", "Note: stewards' inquiry"),
    ]


def test_what_came_in_is_not_sent_back(appwrite: Appwrite, race: Race) -> None:
    edit(appwrite, race, staff_note="soft", polling_paused=True)
    pulled()
    appwrite.forget()
    assert pushed().races.unchanged + pushed().races.changed == 0
    pulled()
    assert appwrite.asked("POST") == appwrite.asked("PATCH") == []
    assert state_of(race).pushed_version == Race.objects.get().version


def test_polling_is_paused_and_resumed_from_there(appwrite: Appwrite, race: Race) -> None:
    Race.objects.update(next_poll_at=START)
    edit(appwrite, race, polling_paused=True)
    pulled()
    assert Race.objects.values_list("polling_paused", "next_poll_at").get() == (True, None)
    edit(appwrite, race, polling_paused=None)
    pulled()
    race.refresh_from_db()
    assert race.polling_paused is False
    assert race.next_poll_at is not None
    assert [message for _, message in audit(race)] == [
        "Polling paused: set in Appwrite",
        "Polling resumed: set in Appwrite",
    ]


def test_a_poll_requested_there_is_made_once(appwrite: Appwrite, race: Race) -> None:
    edit(appwrite, race, poll_requested_at=REQUESTED)
    pulled()
    log = PollLog.objects.get()
    assert (log.trigger, log.requested_by, log.slot_at) == (Trigger.REMOTE.value, "appwrite", NOW)
    assert OrmQ.objects.count() == 1
    edit(appwrite, race, staff_note="something else")
    pulled(NOW + timedelta(seconds=15))
    assert PollLog.objects.count() == 1
    assert audit(race)[0] == ("appwrite", "Poll requested at 02:29:30 UTC")
    edit(appwrite, race, poll_requested_at="2026-11-23T02:29:31.000+00:00")
    PollLog.objects.update(state="ok")
    pulled(NOW + timedelta(seconds=30))
    assert PollLog.objects.count() == 2


def test_an_older_request_polls_nothing_and_is_logged(appwrite: Appwrite, race: Race) -> None:
    edit(appwrite, race, poll_requested_at=REQUESTED)
    pulled()
    edit(appwrite, race, poll_requested_at="2026-11-22T00:00:00.000+00:00")
    pulled()
    assert PollLog.objects.count() == 1
    assert [field for field, *_ in conflicts()] == ["poll_requested_at"]


def pulled_rows(row_ids: list[str]) -> Pulled:
    """A pull of just these rows that has all the time it needs."""
    return pull.run(row_ids=row_ids, now=NOW, budget=PATIENCE)


def test_a_notification_brings_just_its_rows_and_leaves_the_checkpoint(appwrite: Appwrite, race: Race) -> None:
    other = make_race()
    pushed()
    pulled()
    for some in (race, other):
        edit(appwrite, some, staff_note="x")
    before = SyncCheckpoint.objects.values().get(table="races")
    appwrite.forget()
    row_id = state_of(race).remote_id
    done = pulled_rows([row_id, row_id, "no-such-row", "../x", "", "a" * 40])
    assert (done.changed, done.taken, done.error) == (1, 1, None)
    assert appwrite.asked() == [f"GET {appwrite.path}"]
    assert pulled_rows([row_id]).changed == 0
    assert SyncCheckpoint.objects.values().get(table="races") == before
    assert [Race.objects.get(pk=some.pk).staff_note for some in (race, other)] == ["x", ""]
    assert pulled().taken == 1


def test_a_notification_of_our_own_new_row_makes_no_second_race(appwrite: Appwrite, gate: Gate) -> None:
    """The webhook of a create may come before its reply has been noted."""
    for race_id in ("r1", ""):
        make_race(provider_race_id=race_id, meeting=None)
    notified: list[Pulled] = []

    def notify() -> None:
        notified.append(pulled_rows([row["$id"] for row in appwrite.rows()]))
        connection.close()

    gate.after["POST"] = notify
    pushed()
    assert notified[0].changed == 2
    assert (Race.objects.count(), len(appwrite.rows())) == (2, 2)
    assert not SyncConflict.objects.exists()
    pushed()
    assert appwrite.asked("PATCH") == []


def test_a_notification_without_appwrite_or_with_it_down_raises_nothing(
    appwrite: Appwrite, race: Race, settings: Any
) -> None:
    appwrite.fault("drop")
    assert isinstance(pull.run(row_ids=[state_of(race).remote_id], now=NOW).error, Unavailable)
    settings.APPWRITE_ENDPOINT = ""
    assert pull.run(row_ids=["x"], now=NOW) == Pulled()


# --- what is undone -------------------------------------------------------------------------------------------------


def test_a_step_back_made_there_is_undone_and_logged(appwrite: Appwrite, race: Race) -> None:
    staff.finalize([race.pk], by=COMMAND, reason="x", now=NOW)
    pushed()
    edit(appwrite, race, status="scheduled")
    done = pulled()
    assert (done.taken, done.conflicts) == (0, 1)
    assert pushed().races.changed == 1
    assert appwrite.row()["status"] == Race.objects.get().status == "finalized"
    assert conflicts() == [("status", "finalized", "scheduled", "local")]


def test_a_start_that_the_console_shifted_is_undone_and_logged(appwrite: Appwrite, race: Race) -> None:
    edit(appwrite, race, advertised_start="2026-11-23T12:00:00.000+00:00", staff_note="and a note")
    pulled()
    pushed()
    row = appwrite.row()
    assert (row["advertised_start"], row["staff_note"]) == ("2026-11-23T03:00:00.000+00:00", "and a note")
    assert Race.objects.get().advertised_start == START
    assert conflicts() == [
        ("advertised_start", "2026-11-23T03:00:00.000+00:00", "2026-11-23T12:00:00.000+00:00", "local")
    ]


def test_an_end_set_there_stays_when_django_moved_on_meanwhile(appwrite: Appwrite, race: Race) -> None:
    change(race, status="in_progress")
    edit(appwrite, race, status="finalized")
    pulled()
    pushed()
    assert appwrite.row()["status"] == Race.objects.get().status == "finalized"
    assert conflicts() == [("status", "in_progress", "finalized", "remote")]


def test_a_race_that_staff_reopened_is_not_ended_by_its_old_row(appwrite: Appwrite, race: Race) -> None:
    edit(appwrite, race, status="finalized")
    pulled()
    staff.reopen([race.pk], by=COMMAND, reason="x", now=NOW)
    pulled()
    pushed()
    pulled()
    assert appwrite.row()["status"] == Race.objects.get().status == "scheduled"


# --- rows that are not ours -----------------------------------------------------------------------------------------


def test_a_row_made_there_is_matched_by_the_providers_id(appwrite: Appwrite) -> None:
    race = make_race(name="Cup")
    appwrite.create(
        "made-there", provider=race.provider, provider_race_id=race.provider_race_id,
        advertised_start="2026-11-23T03:00:00Z", staff_note="by hand",
    )  # fmt: skip
    assert pulled().taken == 1
    pushed()
    race.refresh_from_db()
    assert race.staff_note == "by hand"
    assert (appwrite.row()["$id"], appwrite.row()["name"]) == ("made-there", "Cup")
    assert not SyncConflict.objects.exists()


def test_a_second_row_of_a_race_and_a_row_of_no_race_are_left_and_logged_once(
    appwrite: Appwrite, race: Race, caplog: pytest.LogCaptureFixture
) -> None:
    appwrite.create("second", provider=race.provider, provider_race_id=race.provider_race_id)
    appwrite.create("unknown", provider="sandbox", provider_race_id="no-such-race")
    appwrite.create("nameless", staff_note="who am I?")
    with caplog.at_level(logging.INFO, logger="polling"):
        assert [pulled().left, pulled().left] == [3, 0], "they are looked at again when they change"
    assert len(caplog.records) == 3
    assert (Race.objects.count(), len(appwrite.rows())) == (1, 4)


def test_columns_of_others_are_left_alone(appwrite: Appwrite, race: Race) -> None:
    state = state_of(race)
    assert "$permissions" not in state.base
    edit(appwrite, race, staff_note="x")
    pulled()
    assert state_of(race).base.keys() == state.base.keys()


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"$updatedAt": None}, id="no time of change"),
        pytest.param({"$updatedAt": "soon"}, id="a time of change that is none"),
    ],
)
def test_a_row_that_cannot_be_read_does_not_stop_the_page(
    appwrite: Appwrite, gate: Gate, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    bad, good = make_race(), make_race()
    pushed()
    pulled()
    for race in (bad, good):
        edit(appwrite, race, staff_note="x")
    bad_row = state_of(bad).remote_id

    def spoiled(body: dict[str, Any]) -> dict[str, Any]:
        """Only whole rows are spoiled: the thin list goes by."""
        whole = [row for row in body["rows"] if row["$id"] == bad_row and "provider" in row]
        for row in whole:
            row |= wrong
        return body

    gate.answer["GET"] = spoiled
    done = pulled()
    assert (done.taken, done.unreadable) == (1, 1)
    assert pulled().unreadable == 1
    assert Race.objects.get(pk=good.pk).staff_note == "x"
    assert "ValueError" in state_of(bad).error
    assert len(caplog.records) == 1, "what is wrong is logged once"
    gate.answer.clear()
    edit(appwrite, bad, staff_note="y")
    assert pulled().taken == 1
    assert state_of(bad).error == ""


# --- how far it has got ---------------------------------------------------------------------------------------------


def test_the_first_pull_of_an_empty_table_starts_from_nothing(appwrite: Appwrite) -> None:
    assert pulled() == Pulled()
    checkpoint = SyncCheckpoint.objects.get(table="races")
    assert (checkpoint.updated_at, checkpoint.row_id, checkpoint.pulled_at) == ("", "", NOW)


def test_pages_by_values_lose_nothing_of_rows_that_share_an_instant(
    appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PAGE_ROWS", 7)
    for _ in range(35):
        make_race()
    pushed()
    appwrite.edit_all(staff_note="x")
    SyncCheckpoint.objects.all().delete()
    assert pulled().taken == 35, "five pages that are just full"
    assert len({row["$updatedAt"] for row in appwrite.rows()}) == 1


def test_a_row_committed_late_behind_the_checkpoint_is_found(appwrite: Appwrite, race: Race) -> None:
    other = make_race()
    pushed()
    edit(appwrite, other, staff_note="on time")
    pulled()
    reached = SyncCheckpoint.objects.get(table="races").updated_at
    stamp = mapping.instant(datetime.fromisoformat(state_of(race).base_updated_at) + timedelta(milliseconds=1))
    assert stamp and stamp < reached
    edit(appwrite, race, staff_note="late", **{"$updatedAt": stamp})
    assert pulled().taken == 1
    assert SyncCheckpoint.objects.get(table="races").updated_at == reached


def test_a_write_that_waited_for_its_lock_is_found_behind_the_checkpoint(
    appwrite: Appwrite, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stamps a write before it gets the lock of the row; here it waits for as long as the machine takes."""
    monkeypatch.setattr(pull, "OVERLAP", PATIENCE)
    other = make_race()
    pushed()
    appwrite.fault("hold", method="PATCH")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(edit_apart, appwrite.port, f"{appwrite.path}/{state_of(race).remote_id}")
        wait_until(lambda: appwrite.api.control("GET", "held").json()["total"] == 1)
        edit(appwrite, other, staff_note="on time")
        assert pulled().taken == 1
        appwrite.api.control("POST", "release")
        assert waiting.result() == 200
    assert pulled().taken == 1
    assert SyncCheckpoint.objects.get(table="races").overlap_hits == 1
    assert Race.objects.get(pk=race.pk).staff_note == "late"


def edit_apart(port: int, path: str) -> int:
    """Over a connection of its own."""
    return Client(port).call("PATCH", path, {"data": {"staff_note": "late"}}).status_code


def test_a_stamp_from_the_future_does_not_carry_the_checkpoint_along(appwrite: Appwrite, race: Race) -> None:
    edit(appwrite, race, staff_note="from the future", **{"$updatedAt": FAR_AHEAD})
    assert pulled().taken == 1
    assert SyncCheckpoint.objects.get(table="races").updated_at < FAR_AHEAD
    other = make_race()
    pushed()
    edit(appwrite, other, staff_note="from now")
    assert pulled().taken == 1


def test_an_answer_that_comes_late_does_not_undo_a_newer_base(appwrite: Appwrite, gate: Gate, settings: Any) -> None:
    """A pull reads the row whole; before it can merge it, the race changes and is pushed in another thread."""
    race = make_race()
    pushed()
    edit(appwrite, race, staff_note="older")
    listings = []

    def push_meanwhile() -> None:
        listings.append(True)
        if len(listings) == 2:  # the thin list, then the whole rows
            change(race, staff_note="newer")
            pushed()
            connection.close()

    gate.after["GET"] = push_meanwhile
    done = pulled()
    assert (done.changed, done.taken) == (1, 0)
    gate.after.clear()
    pushed()
    pulled()
    assert appwrite.row()["staff_note"] == Race.objects.get().staff_note == "newer"
    assert conflicts() == [("staff_note", "newer", "older", "local")]


def test_a_page_that_is_cut_off_is_read_again(appwrite: Appwrite, race: Race) -> None:
    """The checkpoint moves after the rows, each of which is committed by itself; read again it changes nothing."""
    edit(appwrite, race, staff_note="x")
    before = SyncCheckpoint.objects.get(table="races").updated_at

    def killed(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE") and "synccheckpoint" in sql:
            raise SystemExit
        return execute(sql, *args)

    with pytest.raises(SystemExit), connection.execute_wrapper(killed):
        pulled()
    assert SyncCheckpoint.objects.get(table="races").updated_at == before
    assert Race.objects.get().staff_note == "x"
    version = Race.objects.get().version
    assert pulled().taken == 0
    assert Race.objects.get().version == version
    assert SyncCheckpoint.objects.get(table="races").updated_at > before


def test_counters_keep_echoes_apart_from_what_only_looking_back_has_found(appwrite: Appwrite, race: Race) -> None:
    def counted() -> tuple[int, int]:
        checkpoint = SyncCheckpoint.objects.get(table="races")
        return checkpoint.echoes, checkpoint.overlap_hits

    assert counted() == (1, 0)
    pulled()
    assert counted() == (1, 0), "a row that is listed again is no echo"
    change(race, name="Plate")
    pushed()
    pulled()
    assert counted() == (2, 0)
    stamp = mapping.instant(datetime.fromisoformat(state_of(race).base_updated_at) - timedelta(milliseconds=1))
    late = {"provider": "sandbox", "provider_race_id": "r9", "advertised_start": "2026-11-23T03:00:00Z"}
    appwrite.create("late", **late, **{"$updatedAt": stamp})
    pulled()
    pulled()
    assert counted() == (2, 1)


def test_two_pulls_at_once_never_move_the_checkpoint_back(appwrite: Appwrite, gate: Gate, race: Race) -> None:
    """The slower one has listed its page when another one gets ahead of it."""
    edit(appwrite, race, staff_note="x")
    reached: list[str] = []

    def overtake() -> None:
        gate.after.clear()
        other = make_race()
        pushed()
        edit(appwrite, other, staff_note="y")
        pulled()
        reached.append(SyncCheckpoint.objects.get(table="races").updated_at)
        connection.close()

    gate.after["GET"] = overtake
    pulled()
    assert SyncCheckpoint.objects.get(table="races").updated_at == reached[0]


def test_a_preview_says_what_a_pull_would_do_and_does_nothing(appwrite: Appwrite, race: Race) -> None:
    row_id = state_of(race).remote_id
    edit(appwrite, race, staff_note="x", name="Cup")
    appwrite.create("made", provider="sandbox", provider_race_id="r9", advertised_start="2026-11-23T03:00:00Z")
    appwrite.create_many({"$id": "a/b", "name": "bulk"})
    before = SyncCheckpoint.objects.values().get(table="races")
    assert pull.preview(now=NOW) == [
        f"row {row_id} ({race}): take staff_note; keep ours and log name",
        "row made: becomes a race",
        "row a/b: stays out: its id is one that Appwrite takes in bulk alone",
    ]
    assert SyncCheckpoint.objects.values().get(table="races") == before
    assert Race.objects.get().staff_note == ""
    assert not UnmatchedRow.objects.exists()


# --- many at once ---------------------------------------------------------------------------------------------------


def pull_pages(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A pull that has time for so many pages of ten rows: it asks once before a page and once before its rows."""
    with monkeypatch.context() as patched:
        patched.setattr(rows, "PAGE_ROWS", 10)
        pull_with_time_for(patched, 2 * number)


def pull_with_time_for(monkeypatch: pytest.MonkeyPatch, looks: int, *, now: datetime = NOW) -> Pulled:
    """A pull that has time left so many times when it looks; then it has none."""
    time_left = iter([True] * looks)
    with monkeypatch.context() as patched:
        patched.setattr(rows.Rows, "has_time", lambda *_: next(time_left, False))
        return pulled(now)


def test_a_pull_goes_on_right_there_though_the_look_back_holds_more_than_one_has_time_for(
    appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    races = make_races(60)
    pushed()
    pulled()
    edit(appwrite, races[0], staff_note="the newest")
    for _ in range(3):
        pull_pages(monkeypatch, 3)
    assert Race.objects.get(pk=races[0].pk).staff_note == "the newest"
    edit(appwrite, races[1], staff_note="newer still")
    for _ in range(3):
        pull_pages(monkeypatch, 3)
    assert Race.objects.get(pk=races[1].pk).staff_note == "newer still", "a pass that was cut off is followed by others"


def test_what_is_written_behind_a_pull_that_was_cut_off_comes_with_the_next_pass(
    appwrite: Appwrite, monkeypatch: pytest.MonkeyPatch
) -> None:
    races = make_races(40)
    pushed()
    pull_pages(monkeypatch, 2)
    first = min(sync_state.states(), key=lambda state: (state.base_updated_at, state.remote_id))
    stamp = mapping.instant(datetime.fromisoformat(first.base_updated_at) + timedelta(milliseconds=1))
    edit(appwrite, races[39], staff_note="late", **{"$updatedAt": stamp})
    for _ in range(4):
        pull_pages(monkeypatch, 2)
    assert Race.objects.get(pk=races[39].pk).staff_note == "late"


def test_a_bulk_edit_under_one_instant_arrives_over_several_pulls_and_then_a_pull_is_one_read_again(
    appwrite: Appwrite, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_races(MANY)
    while sync_state.dirty(now=NOW).exists():
        pushed()
    pulled()
    appwrite.edit_all(staff_note="all")
    taken: list[int] = []
    while sum(taken) < MANY:
        # Time for a page, and two hundred of its rows.
        taken.append(pull_with_time_for(monkeypatch, 3, now=clock.now()).taken)
    assert len(taken) > 1
    assert Race.objects.filter(staff_note="all").count() == MANY
    gate.ahead_seconds = 60
    for _ in range(2):
        pulled(clock.now() + timedelta(minutes=1))
    appwrite.forget()
    assert pulled(clock.now() + timedelta(minutes=1)) == Pulled()
    pushed()
    assert appwrite.asked() == [f"GET {appwrite.path}"], "they lie behind the look back by the server's own clock"


def test_a_date_that_is_ahead_of_those_who_stamp_rows_hides_no_edit(appwrite: Appwrite, gate: Gate, race: Race) -> None:
    gate.ahead_seconds = 3600
    pulled(clock.now())
    edit(appwrite, race, staff_note="x")
    assert pulled(clock.now()).taken == 1


# --- errors ---------------------------------------------------------------------------------------------------------


def test_while_appwrite_is_down_nothing_escapes_and_the_edges_are_logged(
    appwrite: Appwrite, race: Race, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    edit(appwrite, race, staff_note="x")
    up = settings.APPWRITE_ENDPOINT
    with caplog.at_level(logging.INFO, logger="polling"):
        settings.APPWRITE_ENDPOINT = "http://127.0.0.1:1/v1"
        assert isinstance(pull.run(now=NOW).error, Unavailable)
        assert isinstance(pull.run(now=NOW).error, Unavailable)
        settings.APPWRITE_ENDPOINT = up
        assert pulled().taken == 1
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param({"kind": "html", "status": 200}, Blocked, id="a login page"),
        pytest.param({"kind": "redirect"}, Blocked, id="a redirect"),
        pytest.param({"kind": "status", "status": 401}, Blocked, id="a revoked key"),
        pytest.param({"kind": "drop"}, Unavailable, id="no answer"),
        pytest.param({"kind": "html"}, Unavailable, id="a gateway's page"),
    ],
)
def test_a_fault_leaves_the_checkpoint_and_the_next_pull_goes_on(
    appwrite: Appwrite, race: Race, fault: dict[str, Any], error: type[Exception]
) -> None:
    edit(appwrite, race, staff_note="x")
    appwrite.fault(**fault)
    assert isinstance(pull.run(now=NOW).error, error)
    assert Race.objects.get().staff_note == ""
    assert pulled().taken == 1


def test_without_appwrite_nothing_happens_and_it_says_so(settings: Any) -> None:
    assert pull.run(now=NOW) == Pulled()
    assert not SyncCheckpoint.objects.exists()


def test_every_field_that_may_come_in_has_its_decision() -> None:
    owners = MANUAL_OWNERS.items()
    comes_in = {field for field, owner in owners if owner in (Owner.STATUS, Owner.SHARED, Owner.APPWRITE)}
    assert comes_in == FIELD_DECISIONS.keys()


def test_a_race_deleted_here_leaves_its_row_alone(appwrite: Appwrite, race: Race) -> None:
    edit(appwrite, race, staff_note="x")
    race.delete()
    assert pulled().taken == 0
    assert SyncState.objects.count() == 1
