"""Both sides change at random under faults; at quiet they are equal, and no edit is lost."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from polling import staff
from polling.appwrite import mapping, pull, push
from polling.appwrite.merge import OWNERS, Owner
from polling.appwrite.settling import local_values
from polling.models import SyncConflict
from races.decisions import COMMAND
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, change, pulled, pushed, state_of
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
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
STEPS = 60
COMPARED = [field for field, owner in OWNERS.items() if owner not in (Owner.TRAVELS, Owner.APPWRITE)]


class World:
    """A few races, an Appwrite, and dice. `notes` are those that nobody there has himself written over."""

    def __init__(self, appwrite: Appwrite, seed: int) -> None:
        self.appwrite, self.dice = appwrite, random.Random(seed)  # noqa: S311 - repeatable
        self.now: datetime = NOW
        self.races = [make_race() for _ in range(4)]
        self.notes: dict[int, set[str]] = {race.pk: set() for race in self.races}
        self.serial = 0

    def step(self) -> None:
        self.now += timedelta(seconds=self.dice.choice([1, 15, 400]))
        acts = [self.provider_speaks, self.staff_write, self.they_write, self.they_break, self.they_delete]
        act = self.dice.choices([*acts, self.push, self.pull], weights=[3, 2, 4, 2, 1, 5, 5])[0]
        race = self.dice.choice(self.races)
        act(race)

    def note(self, race: Race) -> str:
        self.serial += 1
        self.notes[race.pk].add(f"note {self.serial}")
        return f"note {self.serial}"

    def provider_speaks(self, race: Race) -> None:
        self.serial += 1
        change(race, provider_status=f"status {self.serial}", last_poll_time=self.now, last_changed_at=self.now)

    def staff_write(self, race: Race) -> None:
        staff.annotate([race.pk], note=self.note(race), by=COMMAND, now=self.now)

    def they_write(self, race: Race) -> None:
        if self.forget_note_there(race):
            self.appwrite.edit(mapping.race_row_id(race), staff_note=self.note(race))

    def they_break(self, race: Race) -> None:
        if self.row_of(race):
            self.appwrite.edit(mapping.race_row_id(race), name="not its name", status="in_progress")

    def they_delete(self, race: Race) -> None:
        """With a change here, as deletions are not looked for yet."""
        if self.forget_note_there(race):
            self.appwrite.delete(mapping.race_row_id(race))
            self.provider_speaks(race)

    def row_of(self, race: Race) -> dict[str, Any] | None:
        return next((row for row in self.appwrite.rows() if row["$id"] == mapping.race_row_id(race)), None)

    def forget_note_there(self, race: Race) -> bool:
        """Whoever writes over a note, or deletes it, has seen it."""
        row = self.row_of(race)
        if row:
            self.notes[race.pk].discard(row["staff_note"])
        return row is not None

    def push(self, race: Race) -> None:
        self.with_faults(push.run)

    def pull(self, race: Race) -> None:
        self.with_faults(pull.run)

    def with_faults(self, run: Callable[..., object]) -> None:
        if self.dice.random() < 0.5:
            self.appwrite.fault(**{**self.dice.choice(FAULTS), "times": self.dice.choice([1, 3])})
        run(now=self.now)
        self.appwrite.heal()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_both_sides_end_equal_and_no_note_is_lost(appwrite: Appwrite, seed: int) -> None:
    world = World(appwrite, seed)
    for _ in range(STEPS):
        world.step()
    for _ in range(3):
        world.now += timedelta(minutes=10)
        pulled(world.now)
        pushed(world.now)
    _are_equal(world)
    _no_note_is_lost(world)
    appwrite.forget()
    pulled(world.now)
    pushed(world.now)
    assert appwrite.asked("P") == [], "at quiet nothing is written"


def _are_equal(world: World) -> None:
    there = {row["$id"]: mapping.read(row).values for row in world.appwrite.rows()}
    assert len(there) == len(world.races)
    for race in Race.objects.select_related("meeting").prefetch_related("runners"):
        here, theirs = local_values(race), there[state_of(race).remote_id]
        assert {field: here[field] for field in COMPARED} == {field: theirs[field] for field in COMPARED}
        assert here["name"] != "not its name"


def _no_note_is_lost(world: World) -> None:
    """Each note was once the race's own, told by the audit, or stands in a conflict."""
    for race in world.races:
        audit = set(LogEntry.objects.filter(object_id=str(race.pk)).values_list("change_message", flat=True))
        logged = set(SyncConflict.objects.filter(state__local_pk=race.pk).values_list("remote", flat=True))
        assert {note for note in world.notes[race.pk] - logged if f"Note: {note}" not in audit} == set()
