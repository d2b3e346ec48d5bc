"""Both sides change at random, calls fail and pushers die; at quiet both are equal, and no edit is lost."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

import pytest
from django.contrib.admin.models import LogEntry
from django_q.models import OrmQ
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from polling import staff
from polling.appwrite import mapping, pull, push, sweep
from polling.appwrite.merge import OWNERS, Owner
from polling.appwrite.settling import local_values
from polling.models import PollLog, SyncCheckpoint, SyncConflict, SyncLease, SyncServer, SyncState, SyncStray
from races.decisions import COMMAND
from races.models import Meeting, Race
from tests.appwrite.conftest import NOW, Appwrite, change, empty, pulled, pushed, state_of, swept
from tests.appwrite.gate import Gate, gate_before
from tests.appwrite.killing import run_until
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)

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
COMPARED = [field for field, owner in OWNERS.items() if owner not in (Owner.TRAVELS, Owner.APPWRITE)]
RUNS: dict[str, Callable[..., object]] = {"push": push.run, "pull": pull.run, "sweep": sweep.run}
WRITES = ("POST", "PUT", "PATCH", "DELETE")

which = st.integers(0, RACES - 1)
some_run = st.sampled_from(["push", "push", "pull", "sweep"])


class TwoSides(RuleBasedStateMachine):
    """A few races and their rows. `notes` are those that nobody who could read them has written over."""

    appwrite: ClassVar[Appwrite]
    gate: ClassVar[Gate]

    def __init__(self) -> None:
        super().__init__()
        for model in (
            PollLog,
            Race,
            Meeting,
            SyncConflict,
            SyncState,
            SyncCheckpoint,
            SyncLease,
            SyncStray,
            SyncServer,
        ):
            model.objects.all().delete()
        for log in (LogEntry, OrmQ):
            log.objects.all().delete()
        empty(self.appwrite.api)
        self.now: datetime = NOW
        self.serial = 0
        self.races = [make_race() for _ in range(RACES)]
        self.notes: dict[int, set[str]] = {race.pk: set() for race in self.races}
        self.ended_there: set[int] = set()
        self.back_dated: set[int] = set()

    # --- what Django's side does ------------------------------------------------------------------------------------

    @rule(which=which)
    def provider_speaks(self, which: int) -> None:
        change(
            self.races[which],
            provider_status=f"status {self._count()}",
            last_poll_time=self.now,
            last_changed_at=self.now,
        )

    @rule(which=which)
    def staff_note(self, which: int) -> None:
        race = self.races[which]
        if race.pk not in self.back_dated:  # compare-and-set cannot see such a write, so ours would go over it
            staff.annotate([race.pk], note=self._note(race), by=COMMAND, now=self.now)

    @rule(which=which)
    def staff_reopen(self, which: int) -> None:
        self.ended_there -= set(staff.reopen([self.races[which].pk], by=COMMAND, reason="an error", now=self.now))

    # --- what Appwrite's side does ----------------------------------------------------------------------------------

    @rule(which=which)
    def they_note(self, which: int) -> None:
        if row_id := self._row_seen(which):
            self.appwrite.edit(row_id, staff_note=self._note(self.races[which]))

    @rule(which=which)
    def they_note_in_the_past(self, which: int) -> None:
        if (row_id := self._row_seen(which)) and self._note_is_agreed(which):
            self.back_dated.add(self.races[which].pk)
            past = mapping.instant(self.now - timedelta(hours=1))
            self.appwrite.edit(row_id, staff_note=self._note(self.races[which]), **{"$updatedAt": past})

    @rule(which=which)
    def they_end(self, which: int) -> None:
        """A row that says so already, as one whose reopening is not pushed yet, is no edit."""
        row_id = self._row_seen(which)
        if row_id and {row["$id"]: row["status"] for row in self.appwrite.rows()}[row_id] != "finalized":
            self.appwrite.edit(row_id, status="finalized")
            self.ended_there.add(self.races[which].pk)

    @rule(which=which)
    def they_break(self, which: int) -> None:
        if row_id := self._row_seen(which):
            self.ended_there.discard(self.races[which].pk)
            self.appwrite.edit(row_id, name="not its name", status="in_progress")

    @rule(which=which)
    def they_delete(self, which: int) -> None:
        if row_id := self._row_seen(which):
            self.ended_there.discard(self.races[which].pk)
            self.appwrite.delete(row_id)

    # --- the engine, well, in trouble, and killed -------------------------------------------------------------------

    @rule(name=some_run, later=st.sampled_from([1, 15, 400]))
    def run(self, name: str, later: int) -> None:
        self._pass_time(later)
        RUNS[name](now=self.now)

    @rule(name=some_run, fault=st.sampled_from(FAULTS), times=st.sampled_from([1, 3]))
    def run_in_trouble(self, name: str, fault: dict[str, Any], times: int) -> None:
        self._pass_time(15)
        self.appwrite.fault(**fault, times=times)
        RUNS[name](now=self.now)
        self.appwrite.heal()

    @rule(name=some_run, call=st.integers(1, 6), answered=st.booleans())
    def run_and_be_killed(self, name: str, call: int, answered: bool) -> None:
        self._pass_time(15)
        run_until(self.gate, call, partial(RUNS[name], now=self.now), answered=answered)

    # --- what must hold in the end ----------------------------------------------------------------------------------

    def teardown(self) -> None:
        for _ in range(4):
            self._pass_time(600)
            pushed(self.now)  # first, as after a change here: it may know less than what is there
            pulled(self.now)
            swept(self.now)
        pushed(self.now)
        self._both_sides_are_equal()
        self._no_edit_is_lost()
        self._nothing_is_done_at_rest()

    def _both_sides_are_equal(self) -> None:
        there = {row["$id"]: mapping.read(row).values for row in self.appwrite.rows()}
        assert len(there) == len(self.races)
        for race in Race.objects.select_related("meeting").prefetch_related("runners"):
            here, theirs = local_values(race), there[state_of(race).remote_id]
            assert {field: here[field] for field in COMPARED} == {field: theirs[field] for field in COMPARED}
            assert here["name"] != "not its name"

    def _no_edit_is_lost(self) -> None:
        """Each note was once the race's own, told by the audit, or stands in a conflict; an end is one, or logged."""
        for race in Race.objects.all():
            audit = set(LogEntry.objects.filter(object_id=str(race.pk)).values_list("change_message", flat=True))
            logged = set(SyncConflict.objects.filter(state__local_pk=race.pk).values_list("field", "remote"))
            remembered = {remote for field, remote in logged if field == "staff_note"}
            assert {note for note in self.notes[race.pk] - remembered if f"Note: {note}" not in audit} == set()
            assert race.pk not in self.ended_there or race.is_finalized or ("status", "finalized") in logged

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

    def _note(self, race: Race) -> str:
        note = f"note {self._count()}"
        self.notes[race.pk].add(note)
        return note

    def _row_seen(self, which: int) -> str | None:
        """The row's id. Whoever writes over a note, or deletes it, has seen it."""
        race = self.races[which]
        row = next((row for row in self.appwrite.rows() if row["$id"] == mapping.race_row_id(race)), None)
        if row is None:
            return None
        self.notes[race.pk].discard(row["staff_note"])
        return str(row["$id"])

    def _note_is_agreed(self, which: int) -> bool:
        race = self.races[which]
        race.refresh_from_db()
        state = SyncState.objects.filter(local_pk=race.pk).first()
        return state is not None and (state.base.get("staff_note") or "") == race.staff_note


def converge(appwrite: Appwrite, gate: Gate, *, examples: int) -> None:
    machine = type("Machine", (TwoSides,), {"appwrite": appwrite, "gate": gate})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        ),
    )


@pytest.fixture
def old_gate(old_appwrite: Appwrite, settings: Any) -> Iterator[Gate]:
    with gate_before(old_appwrite.port) as (gate, port):
        settings.APPWRITE_ENDPOINT = f"http://127.0.0.1:{port}/v1"
        yield gate


def test_whatever_happens_both_sides_end_equal_and_no_edit_is_lost(appwrite: Appwrite, gate: Gate) -> None:
    converge(appwrite, gate, examples=6)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whatever_happens_both_sides_end_equal_and_no_edit_is_lost_in_many_runs(appwrite: Appwrite, gate: Gate) -> None:
    converge(appwrite, gate, examples=60)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whatever_happens_both_sides_end_equal_and_no_edit_is_lost_on_appwrite_1_8(
    old_appwrite: Appwrite, old_gate: Gate
) -> None:
    converge(old_appwrite, old_gate, examples=30)
