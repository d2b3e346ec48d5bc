"""What a pull takes into Django, what it undoes, and what it logs, over real HTTP to the stand-in."""

from datetime import timedelta

import pytest
from django_q.models import OrmQ

from polling import staff
from polling.appwrite.field_decisions import FIELD_DECISIONS
from polling.appwrite.merge import MANUAL_OWNERS, Owner
from polling.models import PollLog, SyncState, Trigger
from races.decisions import COMMAND
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, audit, change, conflicts, edit, pulled, pushed, state_of
from tests.factories import START

pytestmark = pytest.mark.django_db(transaction=True)
REQUESTED = "2026-11-23T02:29:30.000+00:00"


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


def test_every_field_that_may_come_in_has_its_decision() -> None:
    owners = MANUAL_OWNERS.items()
    comes_in = {field for field, owner in owners if owner in (Owner.STATUS, Owner.SHARED, Owner.APPWRITE)}
    assert comes_in == FIELD_DECISIONS.keys()


def test_a_race_deleted_here_leaves_its_row_alone(appwrite: Appwrite, race: Race) -> None:
    edit(appwrite, race, staff_note="x")
    race.delete()
    assert pulled().taken == 0
    assert SyncState.objects.count() == 1
