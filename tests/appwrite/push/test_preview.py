"""What a push would do, by the plan that it carries out."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from polling.appwrite.push import run as push
from polling.models import PollState
from tests.appwrite.conftest import NOW, Appwrite, change, pushed, state_of
from tests.factories import make_log, make_race

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_row_that_would_be_written_has_its_line_and_nothing_happens(appwrite: Appwrite) -> None:
    changed, gone, same = make_race(), make_race(), make_race()
    pushed()
    gone_row = state_of(gone).remote_id
    new = make_race(number=7)
    bad = make_race(results={"not": "a list"})
    change(changed, name="Plate", distance_m=1200)
    change(same)
    gone.delete()
    log = make_log(same, slot_at=NOW, state=PollState.FAILED, starts_incident=True)
    appwrite.forget()

    def read_only(execute: Any, sql: str, *args: Any) -> Any:
        assert sql.startswith("SELECT"), sql
        return execute(sql, *args)

    with connection.execute_wrapper(read_only):
        lines = push.preview(now=NOW)
    assert appwrite.asked() == []
    assert lines[-2:] == [
        f"delete {gone_row}: its race is gone",
        f"create {log.public_id.hex}: the poll of {same} at {log}",
    ]
    assert sorted(line.split()[0] for line in lines) == ["change", "create", "create", "delete", "give"]
    change_line = next(line for line in lines if line.startswith("change"))
    assert change_line == f"change {state_of(changed).remote_id}: {changed}: name, distance_m, sync_version"
    assert any(f"{new}" in line for line in lines if line.startswith("create"))
    assert any(f"{bad}" in line and "is no text" in line for line in lines)
    done = pushed()
    assert (done.races.created, done.races.changed, done.races.deleted, done.races.dead) == (1, 1, 1, 1)
    assert push.preview(now=NOW) == []


def test_what_waits_for_a_later_try_is_shown_too(appwrite: Appwrite) -> None:
    race = make_race()
    appwrite.fault("status", status=503)
    assert push.run(now=NOW).error
    assert [line.split()[0] for line in push.preview(now=NOW)] == ["create"]
    push.retry_now()
    pushed()
    change(race, name="Plate")
    appwrite.fault("drop_after_commit", method="PATCH")
    assert push.run(now=NOW).error
    change(race, name=race.name)
    assert push.preview(now=later()) == [f"look at {state_of(race).remote_id}: {race}"]


def later() -> datetime:
    return NOW + timedelta(hours=1)
