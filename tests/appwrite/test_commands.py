"""The doors: `appwrite_schema plan|apply` and `sync push|pull`."""

import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from polling.appwrite import push
from races.models import Race
from tests.appwrite.conftest import NOW, Appwrite, state_of
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
COMMANDS = [*[("appwrite_schema", what) for what in ("plan", "apply", "check")], ("sync", "push"), ("sync", "pull")]


def said(*command: str, **options: Any) -> str:
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
    assert (code, words) == (1, "38 steps are wanting in Appwrite")
    assert "create in races.columns track: string (120)\n" in said("appwrite_schema", "apply", "--dry-run")
    code, words = refused("appwrite_schema", "check")
    assert (code, words) == (1, "38 things are wanting or otherwise than declared in Appwrite")
    assert "create in races.columns track: string (120)\n" in said("appwrite_schema", "apply")
    nothing = "nothing is wanting: the tables are as declared\n"
    assert {said("appwrite_schema", what) for what in ("plan", "apply", "check")} == {nothing}
    assert said("appwrite_schema", "plan", verbosity=0) == ""


def test_sync_says_what_it_did(appwrite: Appwrite) -> None:
    race = make_race()
    words = said("sync", "push")
    assert words == "1 created, 0 changed, 0 deleted, 0 unchanged, 0 merged, 0 waiting, 0 dead, 0 logs\n"
    appwrite.edit(state_of(race).remote_id, staff_note="x")
    assert said("sync", "pull") == "1 changed, 1 taken, 0 conflicts, 0 left, 0 unreadable\n"
    race.refresh_from_db()
    assert race.staff_note == "x"


def test_sync_counts_in_json(appwrite: Appwrite) -> None:
    make_race()
    counts = json.loads(said("sync", "push", "--json"))
    assert (counts["races"]["created"], counts["logs"], counts["trouble"]) == (1, 0, "")
    assert json.loads(said("sync", "pull", "--json"))["left"] == 0


def test_sync_by_hand_tries_at_once_what_waits(appwrite: Appwrite) -> None:
    make_race()
    appwrite.fault("status", status=503)
    assert push.run(now=NOW).trouble
    assert said("sync", "push").startswith("1 created")


def test_rows_that_were_given_up_are_tried_again_when_a_person_says_so(appwrite: Appwrite) -> None:
    race = make_race(actual_start=datetime(900, 1, 1, tzinfo=UTC))  # no year that Appwrite takes
    assert "1 dead" in said("sync", "push")
    Race.objects.filter(pk=race.pk).update(actual_start=None)
    assert said("sync", "push").startswith("0 created")
    assert said("sync", "push", "--retry-dead").startswith("1 created")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_appwrite_a_command_says_what_to_set(command: tuple[str, str], settings: Any) -> None:
    assert settings.APPWRITE_ENDPOINT == ""
    code, words = refused(*command)
    assert (code, "APPWRITE_ENDPOINT" in words) == (2, True)


@pytest.mark.parametrize("command", COMMANDS)
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


@pytest.mark.parametrize("way", ["push", "pull"])
def test_sync_without_tables_says_to_apply_the_schema(appwrite: Appwrite, way: str, settings: Any) -> None:
    make_race()
    settings.APPWRITE_DATABASE_ID = "nowhere"
    code, words = refused("sync", way)
    assert (code, "appwrite_schema apply" in words) == (2, True)
