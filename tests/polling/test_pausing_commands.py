"""The commands that pause and resume: races, and all polling."""

from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command

from polling import global_pause
from polling.models import PollingSwitch
from races.decisions import COMMAND, Actor
from tests.factories import START, make_race

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_at_the_start")]


@pytest.fixture
def _at_the_start() -> Any:
    with time_machine.travel(START, tick=False):
        yield


def audit() -> list[tuple[str, str]]:
    return [(entry.user.get_username(), entry.change_message) for entry in LogEntry.objects.order_by("pk")]


def test_races_are_paused_with_a_reason_and_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    race, other = make_race(next_poll_at=START), make_race(polling_paused=True)
    call_command("pause", str(race.pk), other.provider_race_id, "--reason", " fog ")
    race.refresh_from_db()
    assert (race.polling_paused, race.next_poll_at) == (True, None)
    assert capsys.readouterr().out == f"{race}: paused\n{other}: was paused already\n"
    call_command("resume", str(race.pk))
    race.refresh_from_db()
    assert not race.polling_paused and race.next_poll_at
    assert capsys.readouterr().out == f"{race}: resumed\n"
    assert audit() == [("manage.py", "Polling paused: fog"), ("manage.py", "Polling resumed")]


def test_all_polling_is_paused_and_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (("pause", "--all", "--reason", "flood"), ("resume", "--all")):
        call_command(*command)
        call_command(*command)
    printed = [
        "all polling is paused",
        "all polling was paused already",
        "polling is resumed",
        "polling was not paused",
    ]
    assert capsys.readouterr().out.splitlines() == printed
    assert audit() == [("manage.py", "All polling paused: flood"), ("manage.py", "All polling resumed")]
    row = PollingSwitch.objects.get()
    assert (row.paused, row.reason, row.changed_at, row.changed_by) == (False, "", START, "manage.py")


def test_a_pause_that_stands_keeps_its_reason_and_its_beginning() -> None:
    assert global_pause.pause(by=Actor("ann"), reason="flood", now=START)
    assert not global_pause.pause(by=COMMAND, reason="fog", now=START)
    row = PollingSwitch.objects.get()
    assert (row.reason, row.changed_by) == ("flood", "ann")


@pytest.mark.parametrize(
    "command",
    [
        ("pause", "--reason", "fog"),
        ("pause", "1", "--all", "--reason", "fog"),
        ("pause", "--all", "--reason", "  "),
        ("pause", "--all", "--reason", "x" * 201),
        ("pause", "--all", "--reason", "two\nlines"),
        ("pause", "999999", "--reason", "fog"),
        ("resume",),
        ("resume", "1", "--all"),
        ("resume", "no-such-race"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(command: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as caught:
        call_command(*command)
    assert caught.value.returncode == 2
    assert "\n" not in str(caught.value)
    assert not PollingSwitch.is_paused() and audit() == []
