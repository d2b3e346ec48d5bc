"""The commands: what they print, their exit codes, and one clear line for a mistake."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command, get_commands

from polling.models import PollingSwitch, PollLog, Tick
from races.models import Race
from tests.factories import START, make_race
from tests.polling.conftest import ProviderBox
from tests.processes import ROOT, environment

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _at_the_start() -> object:
    with time_machine.travel(START, tick=False):
        yield


def refusal(*command: str) -> CommandError:
    """The error that a command ends with."""
    with pytest.raises(CommandError) as caught:
        call_command(*command)
    return caught.value


def test_every_command_of_ours_has_a_test() -> None:
    ours = {name for name, app in get_commands().items() if app in ("polling", "sandbox", "races")}
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    assert len(ours) >= 8
    assert {name for name in ours if f'"{name}"' not in tests} == set()


def test_poll_prints_what_came_of_it(provider: ProviderBox, capsys: pytest.CaptureFixture[str]) -> None:
    race = provider.import_card()[0]
    call_command("poll", str(race.pk))
    assert capsys.readouterr().out == f"{race.name_at(START)}: changed\n"
    assert PollLog.objects.get().requested_by == "manage.py"


def test_poll_prints_the_updated_races_as_json(provider: ProviderBox, capsys: pytest.CaptureFixture[str]) -> None:
    races = provider.import_card()[:2]
    call_command("poll", str(races[0].pk), races[1].provider_race_id, "--json")
    printed = {race["id"]: race for race in json.loads(capsys.readouterr().out)}
    assert set(printed) == {race.pk for race in races}
    assert all(race["runners"] and race["last_poll_time"] and race["track"] for race in printed.values())


def test_poll_of_one_race_by_both_its_ids_polls_it_once(
    provider: ProviderBox, capsys: pytest.CaptureFixture[str]
) -> None:
    race = provider.import_card()[0]
    call_command("poll", str(race.pk), race.provider_race_id)
    assert capsys.readouterr().out == f"{race.name_at(START)}: changed\n"


def test_poll_of_a_race_that_fails_ends_with_one(provider: ProviderBox) -> None:
    race = provider.import_card()[0]
    provider.fault("error", status=503, times=None)
    error = refusal("poll", str(race.pk))
    assert error.returncode == 1
    assert "Unavailable" in str(error)


def test_poll_while_all_is_paused_says_so(provider: ProviderBox) -> None:
    race = provider.import_card()[0]
    PollingSwitch.objects.create(pk=1, paused=True)
    assert str(refusal("poll", str(race.pk))) == "polling is paused"


@pytest.mark.parametrize("name", ["999999", "no-such-race", "", "9" * 40, "٣"])
@pytest.mark.parametrize(
    "command", [("poll",), ("finalize", "--reason", "why"), ("reopen", "--reason", "why")], ids=lambda names: names[0]
)
def test_an_unknown_race_is_named_in_one_line(command: tuple[str, ...], name: str) -> None:
    error = refusal(command[0], name, *command[1:])
    assert (error.returncode, str(error)) == (2, f"no race has the id {name!r}")


def test_finalize_ends_a_race_once_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    race = make_race()
    call_command("finalize", str(race.pk), "--reason", "no result will come")
    call_command("finalize", str(race.pk), "--reason", "again")
    assert capsys.readouterr().out.splitlines() == [
        f"{race.name_at(START)}: {words}" for words in ("finalized", "was finalized already")
    ]
    stored = Race.objects.get(pk=race.pk)
    assert (stored.status, stored.finalized_by, stored.next_poll_at) == ("finalized", "staff", None)
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.change_message) == ("manage.py", "Finalized: no result will come")
    assert not entry.user.is_active


def test_finalize_sets_the_outcome_warns_before_the_start_and_changes_the_outcome_of_an_ended_race(
    capsys: pytest.CaptureFixture[str],
) -> None:
    race = make_race(start=START + timedelta(minutes=30), next_poll_at=START)
    call_command("finalize", str(race.pk), "--reason", "fog", "--outcome", "postponed")
    printed = capsys.readouterr()
    assert printed.out == f"{race.name_at(START)}: finalized\n"
    assert (
        printed.err
        == f"{race.name_at(START)} has not started, its start is 2026-11-23 03:30 UTC: it is ended before it\n"
    )
    assert Race.objects.get().outcome == "postponed"
    call_command("finalize", str(race.pk), "--reason", "called off", "--outcome", "abandoned")
    printed = capsys.readouterr()
    assert printed.out == f"{race.name_at(START)}: finalized\n"
    assert Race.objects.get().outcome == "abandoned"
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == [
        "Finalized as postponed: fog",
        "Finalized as abandoned: called off",
    ]


def test_finalize_says_nothing_of_the_start_of_a_race_that_has_started(capsys: pytest.CaptureFixture[str]) -> None:
    race = make_race(start=START - timedelta(minutes=5))
    call_command("finalize", str(race.pk), "--reason", "no result will come", "--outcome", "void")
    assert capsys.readouterr().err == ""


def test_finalize_refuses_an_outcome_that_there_is_not() -> None:
    assert "invalid choice: 'drawn'" in str(refusal("finalize", "1", "--reason", "why", "--outcome", "drawn"))


def test_reopen_takes_the_end_back_once_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    race = make_race(start=START + timedelta(minutes=3))
    call_command("finalize", str(race.pk), "--reason", "fog", "--outcome", "abandoned")
    capsys.readouterr()
    call_command("reopen", str(race.pk), "--reason", "the fog lifts")
    call_command("reopen", str(race.pk), "--reason", "again")
    assert capsys.readouterr().out.splitlines() == [
        f"{race.name_at(START)}: reopened",
        f"{race.name_at(START)}: was not finalized",
    ]
    stored = Race.objects.get(pk=race.pk)
    assert (stored.status, stored.outcome, stored.finalized_by) == ("scheduled", "", "")
    assert stored.next_poll_at is not None
    assert LogEntry.objects.latest("pk").change_message == "Reopened: the fog lifts"


def test_reopen_wants_a_reason_that_says_something() -> None:
    assert refusal("reopen", "1", "--reason", "  ").returncode == 2


def test_finalize_wants_a_reason_that_says_something() -> None:
    assert refusal("finalize", "1", "--reason", "  ").returncode == 2


def test_import_schedule_says_what_it_found(provider: ProviderBox, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("import_schedule")
    count = Race.objects.count()
    assert capsys.readouterr().out == f"sandbox: {count} races, {count} new, {count} changed\n"
    assert count > 50
    assert all(race.next_poll_at for race in Race.objects.open().filter(advertised_start__gt=START))


def test_import_schedule_of_an_unknown_provider_ends_with_two() -> None:
    error = refusal("import_schedule", "--provider", "nobody")
    assert (error.returncode, str(error)) == (
        2,
        "the provider 'nobody' is not configured; RACE_PROVIDERS names: sandbox",
    )


def test_import_schedule_of_a_provider_that_is_down_ends_with_one(provider: ProviderBox) -> None:
    provider.fault("drop", times=None)
    error = refusal("import_schedule")
    assert error.returncode == 1
    assert str(error).startswith("sandbox: Unavailable: ")


def test_tick_says_what_it_did_and_does_a_slot_once(capsys: pytest.CaptureFixture[str]) -> None:
    make_race(next_poll_at=START - timedelta(minutes=1), start=START + timedelta(minutes=3))
    call_command("tick")
    call_command("tick")
    assert capsys.readouterr().out.splitlines() == [
        "tick 2026-11-23 03:00:00: 1 due, 1 claimed",
        "this slot has been ticked already",
    ]
    assert Tick.objects.get().dispatched == 1


def test_a_tick_with_nothing_to_do_says_that_and_not_that_it_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("tick")
    assert capsys.readouterr().out == "nothing is due within the hour\n"


def test_sandbox_ends_on_sigterm_even_as_a_background_job(tmp_path: Path) -> None:
    command = f"trap '' INT; exec {sys.executable} manage.py sandbox provider --port 0"
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()


def test_sandbox_wants_to_know_which(tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        call_command("sandbox", "weather", "--port", "0", "--state", str(tmp_path))
