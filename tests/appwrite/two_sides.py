"""A machine that changes races on both sides at random; what must hold when nothing is in flight is its `teardown`."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django_q.models import OrmQ
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from polling import staff
from polling.appwrite import mapping, sync_state
from polling.appwrite.merge import OWNERS, Owner
from polling.appwrite.pull import run as pull
from polling.appwrite.push import full_scan
from polling.appwrite.push import run as push
from polling.appwrite.reconcile import local_values
from polling.appwrite.sweep import run as sweep
from polling.models import (
    ChangeNotification,
    FullScan,
    PollLog,
    PollLogPush,
    ProviderState,
    QueuedTask,
    SyncCheckpoint,
    SyncConflict,
    SyncLease,
    SyncServer,
    SyncState,
    UnmatchedRow,
)
from races.decisions import COMMAND
from races.models import Meeting, Race
from tests.appwrite.conftest import NOW, Appwrite, change, empty, pulled, pushed, state_of, swept
from tests.appwrite.gate import Gate
from tests.appwrite.killing import run_until
from tests.factories import START, make_race

RACES = 3
FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "status", "status": 401},
    {"kind": "html", "status": 200},
    {"kind": "html"},
    {"kind": "drop"},
    {"kind": "drop_after_commit"},
    {"kind": "drop_after_commit", "method": "PATCH"},
]
SHARED = [field for field, owner in OWNERS.items() if owner is Owner.SHARED]
COMPARED = [field for field, owner in OWNERS.items() if owner is not Owner.TRAVELS]
FAR_AHEAD = "2099-01-01T00:00:00.000+00:00"
FOR_A_RACE = ("provider", "provider_race_id", "advertised_start")
WRITES = ("POST", "PUT", "PATCH", "DELETE")
TABLES: tuple[type[Model], ...] = (
    PollLog, Race, Meeting, ProviderState, SyncConflict, SyncState, SyncCheckpoint, SyncLease, UnmatchedRow,
    ChangeNotification, QueuedTask, PollLogPush, FullScan, SyncServer, LogEntry, OrmQ,
)  # fmt: skip

Key = tuple[str, str]  # the row's id and the field


def pull_all_rows(*, now: datetime) -> None:
    """All rows at once: notifications that are lost, doubled or out of order come to no more than this at any time."""
    row_ids = [*sync_state.states().values_list("remote_id", flat=True), "of-no-row"]
    pull.run(row_ids=row_ids, now=now)


# With all the time they need: a call that was cut off would come to the server when the next edit has been made.
RUNS: dict[str, Callable[..., object]] = {
    "push": push.run,
    "pull": pull.run,
    "sweep": sweep.run,
    "notified": pull_all_rows,
}
which = st.integers(0, RACES - 1)
# When an edit says that it was made: truly; at the time of the row as it was read, as an app that writes it all back
# with a key does; or long ago.
stamps = st.sampled_from(["now", "now", "unchanged", "long ago"])
some_run = st.sampled_from(["push", "push", "pull", "notified", "sweep"])


class TwoSides(RuleBasedStateMachine):
    """A few races and their rows, by the rows' ids.

    `notes` are those that nobody who could read them has written over. `decided` is what staff set last in a field
    when all that was set there in Appwrite had come in; `theirs` what was set there last.
    """

    appwrite: ClassVar[Appwrite]
    gate: ClassVar[Gate]

    def __init__(self) -> None:
        super().__init__()
        for model in TABLES:
            model._default_manager.all().delete()
        empty(self.appwrite.api)
        self.now: datetime = NOW
        self.serial = 0
        self.races = [make_race() for _ in range(RACES)]
        self.notes: set[str] = set()
        self.made: set[str] = set()
        self.decided: dict[Key, Any] = {}
        self.theirs: dict[Key, Any] = {}
        self.ended_there: set[str] = set()
        self.broken: set[str] = set()

    # --- what Django's side does ------------------------------------------------------------------------------------

    @rule(which=which)
    def provider_speaks(self, which: int) -> None:
        values = {"provider_status": f"status {self._count()}", "last_poll_time": self.now, "last_changed_at": self.now}
        change(self.races[which], **values)

    @rule(which=which)
    def staff_note(self, which: int) -> None:
        note = self._note()
        if not self._annotate(which, note):
            self.notes.discard(note)

    @rule(which=which)
    def staff_go_back_to_no_note(self, which: int) -> None:
        self._annotate(which, "")

    @rule(which=which)
    def staff_pause(self, which: int) -> None:
        changed = staff.pause([self.races[which].pk], by=COMMAND, reason="a storm", now=self.now)
        self._decide(which, "polling_paused", True, changed)

    @rule(which=which)
    def staff_resume(self, which: int) -> None:
        changed = staff.resume([self.races[which].pk], by=COMMAND, reason="it is over", now=self.now)
        self._decide(which, "polling_paused", False, changed)

    @rule(which=which)
    def staff_reopen(self, which: int) -> None:
        if staff.reopen([self.races[which].pk], by=COMMAND, reason="an error", now=self.now):
            self.ended_there.discard(self._row_id(which))

    @rule(which=which)
    def delete_race(self, which: int) -> None:
        """With all that staff and others have decided about it."""
        row_id = self._row_id(which)
        Race.objects.filter(pk=self.races[which].pk).delete()
        self.ended_there.discard(row_id)
        for field in SHARED:
            self.decided.pop((row_id, field), None)

    @rule(which=which)
    def make_race(self, which: int) -> None:
        if not self._is_here(which):
            self.races[which] = make_race()

    # --- what Appwrite's side does ----------------------------------------------------------------------------------

    @rule(which=which, stamp=stamps)
    def they_note(self, which: int, stamp: str) -> None:
        if self._row_seen(which):
            self._edit(which, "staff_note", self._note(), stamp)

    @rule(which=which, value=st.booleans(), stamp=stamps)
    def they_pause_or_resume(self, which: int, value: bool, stamp: str) -> None:
        row = self._row(which)
        if row and row["polling_paused"] != value:
            self._edit(which, "polling_paused", value, stamp)

    @rule(which=which, ahead=st.sampled_from([None, timedelta(), timedelta(days=-1)]), stamp=stamps)
    def they_request_a_poll(self, which: int, ahead: timedelta | None, stamp: str) -> None:
        if self._row(which):
            at = FAR_AHEAD if ahead is None else mapping.instant(self.now + ahead)
            self._edit(which, "poll_requested_at", at, stamp)

    @rule(which=which, stamp=stamps)
    def they_touch_what_is_no_reason_to_write(self, which: int, stamp: str) -> None:
        if self._row(which):
            self._edit(which, "last_changed_at", FAR_AHEAD, stamp)

    @rule(which=which, stamp=stamps)
    def they_end(self, which: int, stamp: str) -> None:
        """A row that says so already, as one whose reopening is not pushed yet, is no edit."""
        row = self._row_seen(which)
        if row is None or row["status"] == "finalized" or not self._is_here(which):
            return
        if row["$id"] in self.broken and state_base(row["$id"]).get("status") == "finalized":
            return  # there and back again
        self._edit(which, "status", "finalized", stamp)
        self.ended_there.add(row["$id"])

    @rule(which=which, stamp=stamps)
    def they_break(self, which: int, stamp: str) -> None:
        if row := self._row_seen(which):
            self.broken.add(row["$id"])
            self.ended_there.discard(row["$id"])
            self._edit(which, "status", "in_progress", stamp, name="not its name")

    @rule(which=which)
    def they_delete(self, which: int) -> None:
        if row := self._row_seen(which):
            self.ended_there.discard(row["$id"])
            self.appwrite.delete(row["$id"])

    @rule(which=which)
    def they_recreate_the_row(self, which: int) -> None:
        if row := self._row_seen(which):
            self.they_delete(which)
            note = self._note()
            self.appwrite.create(row["$id"], staff_note=note, **{name: row[name] for name in FOR_A_RACE})
            self._note_theirs(row["$id"], "staff_note", note)

    @rule()
    def they_make_a_race(self) -> None:
        race_id = f"made-{self._count()}"
        start = mapping.instant(START)
        self.appwrite.create(race_id, provider="sandbox", provider_race_id=race_id, advertised_start=start)
        self.made.add(race_id)

    # --- the engine, well, failing, and killed -----------------------------------------------------------------------

    @rule(name=some_run, later=st.sampled_from([1, 15, 400]))
    def run(self, name: str, later: int) -> None:
        self._pass_time(later)
        RUNS[name](now=self.now)

    @rule(name=some_run, fault=st.sampled_from(FAULTS), times=st.sampled_from([1, 3]))
    def run_with_faults(self, name: str, fault: dict[str, Any], times: int) -> None:
        self._pass_time(15)
        self.appwrite.fault(**fault, times=times)
        RUNS[name](now=self.now)
        self.appwrite.heal()

    @rule(name=some_run, call=st.integers(1, 6), answered=st.booleans())
    def run_and_be_killed(self, name: str, call: int, answered: bool) -> None:
        self._pass_time(15)
        run_until(self.gate, call, partial(RUNS[name], now=self.now), answered=answered)

    @rule(which=which, name=st.sampled_from(["pull", "notified", "push"]), is_lost=st.booleans())
    def staff_change_their_minds_amid_a_push(self, which: int, name: str, is_lost: bool) -> None:
        """The run finds what the push has written and knows no reply of yet, or never will."""
        self._pass_time(600)
        for say in (self.staff_note, self.staff_pause):
            say(which)

        def run_amid() -> None:
            self.gate.after.pop("PATCH", None)
            for say in (self.staff_go_back_to_no_note, self.staff_resume):
                say(which)
            RUNS[name](now=self.now)

        if is_lost:
            self.appwrite.fault("drop_after_commit", method="PATCH")
            push.run(now=self.now)
            self.appwrite.heal()
            run_amid()
        else:
            self.gate.after["PATCH"] = run_amid
            push.run(now=self.now)
            self.gate.after.pop("PATCH", None)

    # --- what must hold in the end ----------------------------------------------------------------------------------

    def teardown(self) -> None:
        for _ in range(4):
            self._pass_time(600)
            pushed(self.now)  # first, as after a change here: it may know less than what is there
            pulled(self.now)
            swept(self.now)
            full_scan.run(now=self.now)
        pushed(self.now)
        self._both_sides_are_equal()
        self._no_edit_is_lost()
        self._decisions_stand()
        self._nothing_is_done_at_rest()

    def _both_sides_are_equal(self) -> None:
        """But for a row that knows more than its race, which was deleted here and has come back."""
        there = {row["$id"]: mapping.read(row).values for row in self.appwrite.rows()}
        races = Race.objects.select_related("meeting").prefetch_related("runners")
        assert len(there) == len(races)
        assert self.made <= {race.provider_race_id for race in races}
        for race in races:
            here, theirs = local_values(race), there[state_of(race).remote_id]
            knows_more = (theirs["sync_version"] or 0) > race.version or (
                theirs["last_poll_time"] and not race.last_poll_time
            )
            fields = SHARED if knows_more else COMPARED
            assert {field: here[field] for field in fields} == {field: theirs[field] for field in fields}
            assert here["name"] != "not its name" or race not in self.races
            assert theirs["last_changed_at"] != FAR_AHEAD or knows_more

    def _no_edit_is_lost(self) -> None:
        """Each note was once a race's own, by the audit, or stands in a conflict; an end is one, or logged."""
        audit = set(LogEntry.objects.values_list("change_message", flat=True))
        remembered = set(SyncConflict.objects.filter(field="staff_note").values_list("remote", flat=True))
        assert {note for note in self.notes - remembered if f"Note: {note}" not in audit} == set()
        for row_id in self.ended_there:
            race = Race.objects.get(pk=SyncState.objects.get(remote_id=row_id).local_pk)
            logged = SyncConflict.objects.filter(row__endswith=row_id, field="status", remote="finalized")
            assert race.is_finalized or logged.exists()

    def _decisions_stand(self) -> None:
        for (row_id, field), value in self.decided.items():
            race = Race.objects.get(pk=SyncState.objects.get(remote_id=row_id).local_pk)
            assert getattr(race, field) == value, field

    def _nothing_is_done_at_rest(self) -> None:
        conflicts = SyncConflict.objects.count()
        self.appwrite.forget()
        for run in (pulled, pushed, swept):
            run(self.now)
        assert [call for call in self.appwrite.asked() if call.startswith(WRITES)] == []
        assert SyncConflict.objects.count() == conflicts

    # --- helpers ----------------------------------------------------------------------------------------------------

    def _pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def _count(self) -> int:
        self.serial += 1
        return self.serial

    def _note(self) -> str:
        note = f"note {self._count()}"
        self.notes.add(note)
        return note

    def _row_id(self, which: int) -> str:
        return mapping.race_row_id(self.races[which])

    def _is_here(self, which: int) -> bool:
        return Race.objects.filter(pk=self.races[which].pk).exists()

    def _row(self, which: int) -> dict[str, Any] | None:
        return next((row for row in self.appwrite.rows() if row["$id"] == self._row_id(which)), None)

    def _row_seen(self, which: int) -> dict[str, Any] | None:
        """The row. Whoever writes over a note, or deletes it, has seen it."""
        if row := self._row(which):
            self.notes.discard(row["staff_note"])
        return row

    def _edit(self, which: int, field: str, value: Any, stamp: str, **more: Any) -> None:
        row = self._row(which)
        assert row
        if stamp != "now":
            past = mapping.instant(self.now - timedelta(hours=1))
            more["$updatedAt"] = row["$updatedAt"] if stamp == "unchanged" else past
        self.appwrite.edit(row["$id"], **{field: value}, **more)
        self._note_theirs(self._row_id(which), field, value)

    def _note_theirs(self, row_id: str, field: str, value: Any) -> None:
        self.theirs[row_id, field] = value
        self.decided.pop((row_id, field), None)

    def _annotate(self, which: int, note: str) -> list[int]:
        changed = staff.annotate([self.races[which].pk], note=note, by=COMMAND, now=self.now)
        self._decide(which, "staff_note", note, changed)
        return changed

    def _decide(self, which: int, field: str, value: Any, changed: list[int]) -> None:
        """What staff set while an edit of theirs is still to come in may be what the row held: it does not count."""
        key = (self._row_id(which), field)
        row = self._row(which)
        if not changed:
            return
        self.decided[key] = value
        if row and key in self.theirs and row[field] == self.theirs[key] != state_base(key[0]).get(field):
            del self.decided[key]


def state_base(row_id: str) -> dict[str, Any]:
    """What was last agreed of the row."""
    state = SyncState.objects.filter(remote_id=row_id).first()
    return dict(state.base) if state else {}
