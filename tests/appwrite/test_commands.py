"""The commands `appwrite_schema plan|apply` and `sync push|pull|sweep|status`."""

import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.core.serializers.json import DjangoJSONEncoder

from polling.appwrite import status, sync_state
from polling.appwrite.push import run as push
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, pushed, state_of
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
WAYS = ("push", "pull", "sweep")
COMMANDS = [
    *(("appwrite_schema", what) for what in ("plan", "apply", "check")),
    *(("sync", way) for way in WAYS),
]


def output_of(*command: str, **options: Any) -> str:
    out = StringIO()
    call_command(*command, stdout=out, **options)
    return out.getvalue()


def refused(*command: str) -> tuple[int, str]:
    """The exit code and the words of a command that fails; always one line."""
    with pytest.raises(CommandError) as caught:
        call_command(*command, stdout=StringIO())
    words = str(caught.value)
    assert words and "\n" not in words
    return caught.value.returncode, words


def test_the_schema_is_planned_and_applied(appwrite: Appwrite, settings: Any) -> None:
    settings.APPWRITE_DATABASE_ID = "by-command"
    code, words = refused("appwrite_schema", "plan")
    assert (code, words) == (1, "39 steps are missing in Appwrite")
    assert "create in races.columns track: string (120)\n" in output_of("appwrite_schema", "apply", "--dry-run")
    code, words = refused("appwrite_schema", "check")
    assert (code, words) == (1, "39 things are missing or differ from the declaration in Appwrite")
    assert "create in races.columns track: string (120)\n" in output_of("appwrite_schema", "apply")
    nothing = "nothing is missing: the tables are as declared\n"
    assert {output_of("appwrite_schema", what) for what in ("plan", "apply", "check")} == {nothing}
    assert output_of("appwrite_schema", "plan", verbosity=0) == ""


def test_sync_says_what_it_did(appwrite: Appwrite) -> None:
    race = make_race()
    words = output_of("sync", "push")
    assert words == "1 created, 0 changed, 0 deleted, 0 expired, 0 unchanged, 0 merged, 0 waiting, 0 dead, 0 logs\n"
    appwrite.edit(state_of(race).remote_id, staff_note="x")
    assert output_of("sync", "pull") == "1 changed, 1 taken, 0 conflicts, 0 unmatched, 0 unreadable\n"
    race.refresh_from_db()
    assert race.staff_note == "x"


def test_sync_counts_in_json(appwrite: Appwrite) -> None:
    make_race()
    counts = json.loads(output_of("sync", "push", "--json"))
    assert (counts["races"]["created"], counts["logs"], counts["error"]) == (1, 0, "")
    assert json.loads(output_of("sync", "pull", "--json"))["unmatched"] == 0


def test_sync_by_hand_tries_at_once_what_waits(appwrite: Appwrite) -> None:
    make_race()
    appwrite.fault("status", status=503)
    assert push.run(now=NOW).error
    assert output_of("sync", "push").startswith("1 created")


def test_rows_that_were_given_up_are_tried_again_when_a_person_says_so(appwrite: Appwrite) -> None:
    race = make_race(actual_start=datetime(900, 1, 1, tzinfo=UTC))  # no year that Appwrite takes
    assert "1 dead" in output_of("sync", "push")
    Race.objects.filter(pk=race.pk).update(actual_start=None)
    assert output_of("sync", "push").startswith("0 created")
    assert output_of("sync", "push", "--retry-dead").startswith("1 created")


def test_a_sweep_says_what_it_did_and_waits_for_a_person_where_much_is_gone(appwrite: Appwrite) -> None:
    races = [make_race(meeting=None) for _ in range(22)]
    pushed()
    appwrite.delete(state_of(races[0]).remote_id)
    assert output_of("sync", "sweep").endswith("21 rows, 1 deleted, 0 logs\n")
    pushed()
    for race in races:
        appwrite.delete(state_of(race).remote_id)
    code, words = refused("sync", "sweep")
    assert (code, "sync sweep --release" in words) == (1, True)
    assert refused("sync", "status")[0] == 1
    assert output_of("sync", "sweep", "--release").endswith("0 rows, 22 deleted, 0 logs\n")
    assert len(appwrite.rows()) == 0 and output_of("sync", "push").startswith("22 created")


def test_a_dry_run_prints_the_plan_a_line_per_row_and_does_nothing(appwrite: Appwrite) -> None:
    first, second = make_race(), make_race()
    plan = output_of("sync", "push", "--dry-run")
    assert len(plan.splitlines()) == len(json.loads(output_of("sync", "push", "--dry-run", "--json"))) == 2
    assert state_count() == 0 and appwrite.rows() == []
    pushed()
    assert [output_of("sync", way, "--dry-run") for way in WAYS] == ["nothing to do\n"] * 3
    appwrite.edit(state_of(first).remote_id, staff_note="fog")
    appwrite.delete(state_of(second).remote_id)
    assert state_of(first).remote_id in output_of("sync", "pull", "--dry-run")
    assert state_of(second).remote_id in output_of("sync", "sweep", "--dry-run", "--release")
    first.refresh_from_db()
    assert (first.staff_note, len(appwrite.rows())) == ("", 1)


def state_count() -> int:
    return sync_state.states().count()


def test_status_says_the_numbers_of_the_page_and_asks_nothing_of_appwrite(appwrite: Appwrite) -> None:
    make_race()
    pushed()
    make_race()
    appwrite.forget()
    first, second, third = output_of("sync", "status").splitlines()
    counts = "2 rows, 1 in sync, 1 dirty, 0 in flight, 0 waiting, 0 missing, 0 dead, 0 unmatched rows"
    assert first == f"races: {counts}; checkpoint never"
    assert second.startswith("poll_logs: 0 rows") and third == "open conflicts: 0"
    with time_machine.travel(NOW, tick=False):
        numbers = json.loads(output_of("sync", "status", "--json"))
    assert numbers == json.loads(json.dumps(status.numbers(now=NOW).as_dict(), cls=DjangoJSONEncoder))
    assert appwrite.asked() == []


def test_status_is_exit_code_1_while_a_row_is_dead(appwrite: Appwrite) -> None:
    make_race(actual_start=datetime(900, 1, 1, tzinfo=UTC))
    output_of("sync", "push")
    assert refused("sync", "status") == (1, "races: 1 given up until a person acts")
    assert refused("sync", "status", "--json")[0] == 1


@pytest.mark.parametrize("command", [*COMMANDS, ("sync", "status"), *(("sync", way, "--dry-run") for way in WAYS)])
def test_without_appwrite_a_command_says_what_to_set(command: tuple[str, str], settings: Any) -> None:
    assert settings.APPWRITE_ENDPOINT == ""
    code, words = refused(*command)
    assert (code, "APPWRITE_ENDPOINT" in words) == (2, True)


@pytest.mark.parametrize("command", [*COMMANDS, ("sync", "pull", "--dry-run"), ("sync", "sweep", "--dry-run")])
def test_a_server_that_cannot_be_reached_is_exit_code_1(
    appwrite: Appwrite, command: tuple[str, str], settings: Any
) -> None:
    make_race()
    settings.APPWRITE_ENDPOINT = "http://127.0.0.1:1/v1"
    code, words = refused(*command)
    assert code == 1
    assert words.startswith("Unavailable: 127.0.0.1:1: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_key_that_is_refused_is_exit_code_2_and_never_shown(
    appwrite: Appwrite, command: tuple[str, str], settings: Any
) -> None:
    make_race()
    settings.APPWRITE_API_KEY = "standard_5ecret"
    code, words = refused(*command)
    assert code == 2
    assert "user_unauthorized" in words
    assert "5ecret" not in words


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_id_that_cannot_be_one_is_exit_code_2(
    appwrite: Appwrite, command: tuple[str, str], settings: Any
) -> None:
    settings.APPWRITE_DATABASE_ID = "../x"
    code, words = refused(*command)
    assert (code, "APPWRITE_DATABASE_ID" in words) == (2, True)


@pytest.mark.parametrize("way", WAYS)
def test_sync_without_tables_says_to_apply_the_schema(appwrite: Appwrite, way: str, settings: Any) -> None:
    make_race()
    settings.APPWRITE_DATABASE_ID = "nowhere"
    code, words = refused("sync", way)
    assert (code, "appwrite_schema apply" in words) == (2, True)
