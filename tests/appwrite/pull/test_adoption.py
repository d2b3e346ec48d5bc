"""Rows made in Appwrite become races, or stay out with a reason."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from polling.appwrite import mapping, sync_state
from polling.models import PollLog, SyncConflict, UnmatchedRow
from races.models import Meeting, Race
from tests.appwrite.conftest import NOW, Appwrite, change, conflicts, pulled, pushed, state_of, swept
from tests.appwrite.gate import Gate
from tests.factories import START, make_meeting, make_race

pytestmark = pytest.mark.django_db(transaction=True)
AT = "2026-11-23T03:00:00.000+00:00"
LATER_THAN_ALL = "2098-01-01T00:00:00.000+00:00"
LATER = "2026-11-23T03:10:00.000+00:00"
IDENTITY = {"provider": "sandbox", "provider_race_id": "r9"}
FIT = {**IDENTITY, "advertised_start": AT}
BY_HAND = {"advertised_start": AT, "name": "Picnic Cup"}
IN_BULK = "its id is one that Appwrite takes in bulk alone"


def problem_of_row() -> str:
    return UnmatchedRow.objects.get().problem


# --- a race of a provider ---------------------------------------------------------------------------------------------


def test_a_row_without_a_match_becomes_a_race_that_is_polled(appwrite: Appwrite) -> None:
    appwrite.create(
        "made", **FIT, meeting="m1", track="Ellerslie", country="NZ", code="thoroughbred", race_number=4,
        name="Cup", distance_m=1600, staff_note="added by hand",
    )  # fmt: skip
    assert pulled().taken == 1
    race = Race.objects.get()
    assert (race.number, race.name, race.distance_m, race.staff_note) == (4, "Cup", 1600, "added by hand")
    assert race.advertised_start == race.original_advertised_start == START
    assert race.next_poll_at is not None
    assert Meeting.objects.values_list("provider", "provider_meeting_id", "name", "country", "code").get() == (
        "sandbox", "m1", "Ellerslie", "NZ", "thoroughbred",
    )  # fmt: skip
    entries = list(LogEntry.objects.values_list("user__username", "change_message").order_by("pk"))
    assert entries == [("appwrite", "Made in Appwrite"), ("appwrite", "Note: added by hand")]
    assert not SyncConflict.objects.exists()
    pushed()
    assert (appwrite.row()["$id"], appwrite.row()["status"]) == ("made", "scheduled")
    assert (pulled().changed, pushed().races.changed) == (0, 0)


def test_texts_of_a_row_lose_their_control_characters_and_the_row_is_put_right(appwrite: Appwrite) -> None:
    note = "first line\nsecond\x1b[2K line\u2028"
    appwrite.create("made", **FIT, meeting="m1", track="Eller\nslie", name="Cup\r\x07", staff_note=note)
    pulled()
    race = Race.objects.select_related("meeting").get()
    assert race.meeting is not None
    assert (race.name, race.meeting.name) == ("Cup ", "Eller slie")
    assert race.staff_note == "first line\nsecond[2K line "
    pushed()
    row = appwrite.row()
    assert (row["track"], row["name"], row["staff_note"]) == ("Eller slie", "Cup ", race.staff_note)
    assert (pulled().changed, pushed().races.changed) == (0, 0)


def test_an_id_with_a_control_character_is_no_id(appwrite: Appwrite) -> None:
    appwrite.create("made", **{**FIT, "provider_race_id": "r9\n"})
    pulled()
    assert problem_of_row() == "provider_race_id: it has control characters"
    assert not Race.objects.exists()


def test_a_known_meeting_is_used_and_not_rewritten(appwrite: Appwrite) -> None:
    meeting = make_meeting(name="Ellerslie")
    appwrite.create("made", **FIT, meeting=meeting.provider_meeting_id, track="Somewhere else")
    pulled()
    pushed()
    assert (Race.objects.get().meeting, Meeting.objects.get().name) == (meeting, "Ellerslie")
    assert appwrite.row()["track"] == "Ellerslie"
    assert [(field, remote) for field, _, remote, _ in conflicts()] == [("track", "Somewhere else")]


def test_without_a_track_the_race_has_no_meeting(appwrite: Appwrite) -> None:
    appwrite.create("made", **FIT, meeting="m1")
    pulled()
    assert Race.objects.get().meeting is None


def test_a_command_in_a_new_row_is_obeyed(appwrite: Appwrite) -> None:
    appwrite.create("made", **FIT, poll_requested_at="2026-11-23T02:29:30.000+00:00", polling_paused=True)
    pulled()
    race = Race.objects.get()
    assert (race.polling_paused, race.next_poll_at) == (True, None)
    assert PollLog.objects.get().race == race


def test_one_match_adopts_the_row(appwrite: Appwrite) -> None:
    race = make_race(name="Cup")
    appwrite.create("made", provider=race.provider, provider_race_id=race.provider_race_id, advertised_start=AT)
    pulled()
    pushed()
    assert (state_of(race).remote_id, appwrite.row()["name"], Race.objects.count()) == ("made", "Cup", 1)


def test_a_second_row_of_a_race_is_one_conflict_and_stays_out(
    appwrite: Appwrite, caplog: pytest.LogCaptureFixture
) -> None:
    race = make_race()
    pushed()
    first = state_of(race).remote_id
    appwrite.create("second", provider=race.provider, provider_race_id=race.provider_race_id, advertised_start=AT)
    assert pulled().conflicts == 1
    appwrite.edit("second", staff_note="again")
    assert pulled().conflicts == 0
    assert (swept().conflicts, swept().unmatched) == (0, 1)
    assert conflicts() == [("$id", first, "second", "local")]
    assert problem_of_row() == f"its race has the row {first} already"
    assert len(caplog.records) == 1
    assert Race.objects.get().staff_note == ""
    appwrite.forget()
    assert pulled().changed == 0
    assert appwrite.asked() == [f"GET {appwrite.path}"], "what stays out costs no second read"


def test_a_row_that_is_older_than_races_are_kept_becomes_no_race_again(appwrite: Appwrite, settings: Any) -> None:
    old, kept = (mapping.instant(NOW - settings.RETENTION["RACES"] + timedelta(hours=hours)) for hours in (-1, 1))
    appwrite.create("old", **{**FIT, "advertised_start": old})
    pulled()
    swept()
    assert not Race.objects.exists()
    assert problem_of_row() == f"advertised_start: {old} is longer ago than races are kept"
    appwrite.edit("old", advertised_start=kept)
    assert pulled().taken == 1


def test_of_two_new_rows_for_one_race_the_first_makes_it(appwrite: Appwrite) -> None:
    appwrite.create("a", **FIT)
    appwrite.create("b", **FIT)
    done = pulled()
    assert (done.taken, done.unmatched, done.conflicts, Race.objects.count()) == (1, 1, 1, 1)


def test_a_race_edited_there_after_it_was_deleted_here_comes_back(appwrite: Appwrite) -> None:
    race = make_race()
    pushed()
    pulled()
    appwrite.edit(state_of(race).remote_id, staff_note="still wanted")
    race.delete()
    pushed()
    swept()
    back = Race.objects.get()
    assert (back.provider_race_id, back.staff_note) == (race.provider_race_id, "still wanted")
    assert len(appwrite.rows()) == 1


# --- a race made by hand ----------------------------------------------------------------------------------------------


def test_without_a_providers_id_it_is_a_race_by_hand_that_nobody_polls(appwrite: Appwrite) -> None:
    appwrite.create("made", **BY_HAND, poll_requested_at="2026-11-23T02:29:30.000+00:00")
    pulled()
    race = Race.objects.get()
    assert (race.name, race.provider_race_id, race.next_poll_at) == ("Picnic Cup", "", None)
    assert not PollLog.objects.exists()
    assert state_of(race).remote_id == "made"
    pushed()
    assert (pulled().changed, swept().changed, Race.objects.count(), len(appwrite.rows())) == (0, 0, 1, 1)


def test_the_start_of_a_race_by_hand_is_shared(appwrite: Appwrite) -> None:
    appwrite.create("made", **BY_HAND)
    pulled()
    pushed()
    appwrite.edit("made", advertised_start=LATER)
    assert (pulled().taken, pulled().taken) == (1, 0)
    race = Race.objects.get()
    assert race.advertised_start == START + timedelta(minutes=10)
    assert not SyncConflict.objects.exists()
    change(race, advertised_start=START + timedelta(minutes=20))
    pushed()
    assert appwrite.row()["advertised_start"] == "2026-11-23T03:20:00.000+00:00"


def test_of_two_new_starts_of_a_race_by_hand_djangos_is_kept_and_the_other_logged(appwrite: Appwrite) -> None:
    appwrite.create("made", **BY_HAND)
    pulled()
    pushed()
    appwrite.edit("made", advertised_start=LATER)
    change(Race.objects.get(), advertised_start=START + timedelta(minutes=20))
    pulled()
    pushed()
    assert appwrite.row()["advertised_start"] == "2026-11-23T03:20:00.000+00:00"
    assert [(field, remote) for field, _, remote, _ in conflicts()] == [("advertised_start", LATER)]


@pytest.mark.parametrize("start", [None, "1000-01-01T00:00:00.000+00:00", "9999-12-30T00:00:00.000+00:00"])
def test_a_start_that_no_race_can_have_is_undone(appwrite: Appwrite, start: str | None) -> None:
    appwrite.create("made", **BY_HAND)
    pulled()
    pushed()
    appwrite.edit("made", advertised_start=start)
    pulled()
    pushed()
    assert (appwrite.row()["advertised_start"], Race.objects.get().advertised_start) == (AT, START)
    assert [(field, remote) for field, _, remote, _ in conflicts()] == [("advertised_start", start)]


# --- rows that stay out -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        pytest.param({"name": "who am I?"}, "advertised_start is missing", id="nothing"),
        pytest.param(IDENTITY, "advertised_start is missing", id="no start"),
        pytest.param({**FIT, "provider": None}, "provider is missing", id="no provider"),
        pytest.param({**FIT, "provider": "nobody"}, "provider: 'nobody' is not configured", id="unknown provider"),
        pytest.param(
            {**BY_HAND, "provider": "nobody"}, "provider: 'nobody' is not configured", id="unknown provider by hand"
        ),
        pytest.param({**FIT, "race_number": -1}, "race_number: Ensure", id="a number below 0"),
        pytest.param(
            {**FIT, "advertised_start": "9999-12-30T00:00:00.000+00:00"},
            "advertised_start: 9999-12-30T00:00:00.000+00:00 is no start of a race",
            id="a start beyond reason",
        ),
    ],
)
def test_a_row_that_is_unfit_stays_out_with_the_reason_until_it_is_fit(
    appwrite: Appwrite, values: dict[str, Any], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    appwrite.create("unfit", **values)
    assert (pulled().unmatched, pulled().unmatched) == (1, 0)
    assert problem_of_row().startswith(problem)
    assert [swept().unmatched, swept().unmatched] == [1, 1]
    assert len(caplog.records) == 1, "it is logged once"
    assert not Race.objects.exists()
    pushed()
    appwrite.edit("unfit", **{**FIT, "race_number": 1})
    assert pulled().taken == 1
    assert not UnmatchedRow.objects.exists()
    assert Race.objects.get().provider_race_id == "r9"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        pytest.param({"advertised_start": "next monday"}, "advertised_start: ", id="no instant"),
        pytest.param({"advertised_start": 5}, "advertised_start: 5 is no instant", id="a number for an instant"),
        pytest.param({"distance_m": "far"}, "distance_m: 'far' is no whole number", id="a text for a number"),
        pytest.param({"provider_race_id": 7}, "provider_race_id: 7 is no text", id="a number for a text"),
        pytest.param({"provider_race_id": "r" * 81}, "provider_race_id: Ensure", id="too long an id"),
        pytest.param({"meeting": "m" * 81, "track": "x"}, "meeting: Ensure", id="too long a meeting"),
        pytest.param({"meeting": "m", "track": "t" * 121}, "track: Ensure", id="too long a track"),
        pytest.param({"name": "a\x00b"}, "name: the text has a NUL character", id="what no database takes"),
        pytest.param({"name": "a\ud800b"}, "name: ", id="half a character"),
        pytest.param({"country": ["NZ"]}, "country: ['NZ'] is no text", id="a list for a text"),
    ],
)
def test_a_value_that_cannot_be_read_or_kept_is_a_reason(
    appwrite: Appwrite, gate: Gate, wrong: dict[str, Any], problem: str
) -> None:
    """As a table may hold them whose columns somebody made himself."""
    appwrite.create("odd", **FIT)
    appwrite.create("fit", **{**FIT, "provider_race_id": "r8"}, staff_note="x")

    def spoiled(body: dict[str, Any]) -> dict[str, Any]:
        for row in body["rows"]:
            row |= {"unknown": {"a": [1]}, **(wrong if row["$id"] == "odd" and "provider" in row else {})}
        return body

    gate.answer["GET"] = spoiled
    assert pulled().taken == 1
    assert problem_of_row().startswith(problem)
    assert not UnmatchedRow.objects.filter(row_id="fit").exists()
    assert Race.objects.get().provider_race_id == "r8"
    assert Meeting.objects.count() == 0
    swept()
    assert problem_of_row().startswith(problem)
    gate.answer.clear()
    swept()
    assert not UnmatchedRow.objects.exists()
    assert Race.objects.count() == 2


def test_ids_that_appwrite_takes_in_bulk_alone_stay_out_and_are_never_called(appwrite: Appwrite) -> None:
    long = "y" * 200
    odd = ["a/b", "two words", "x" * 40, "unique()", "\u00e9t\u00e9", "../races", "q?x=1#y", f"{long}1", f"{long}2"]
    appwrite.create_many(*({"$id": row_id, **FIT, "provider_race_id": row_id[-80:]} for row_id in odd))
    appwrite.create("fit", **FIT)
    appwrite.forget()
    assert (pulled().unmatched, pulled().unmatched) == (len(odd), 0)
    assert (swept().unmatched, swept().finished) == (len(odd), True)
    pushed()
    assert set(UnmatchedRow.objects.values_list("problem", flat=True)) == {IN_BULK}
    assert UnmatchedRow.objects.filter(row_id__in=["a/b", "two words", "unique()", f"{long}1"]).count() == 4
    assert UnmatchedRow.objects.count() == len(odd)
    assert sync_state.states().values_list("remote_id", flat=True).get() == "fit"
    assert set(appwrite.asked("GET")) == {f"GET {appwrite.path}"}
    appwrite.delete_all()
    swept(NOW + timedelta(minutes=10))
    assert not UnmatchedRow.objects.exists(), "rows that are gone are none"


def test_a_row_whose_id_differs_by_capitals_alone_stays_out(appwrite: Appwrite, gate: Gate) -> None:
    """A server on a database that keeps them apart."""
    race = make_race()
    pushed()
    pulled()
    row_id = state_of(race).remote_id

    def doubled(body: dict[str, Any]) -> dict[str, Any]:
        twins = [{**row, "$id": row_id.upper(), "$updatedAt": LATER_THAN_ALL} for row in body["rows"]]
        return {**body, "rows": [*body["rows"], *twins]}

    gate.answer["GET"] = doubled
    assert pulled().unmatched == 1
    assert problem_of_row() == "its id differs from that of another row by capitals alone"
    assert swept().unmatched == 1
    assert (state_of(race).remote_id, Race.objects.count()) == (row_id, 1)


def test_ids_of_a_provider_that_differ_by_capitals_are_two_races(appwrite: Appwrite) -> None:
    appwrite.create("a", **FIT)
    appwrite.create("b", **{**FIT, "provider_race_id": "R9"})
    assert pulled().taken == 2
    pushed()
    assert (Race.objects.count(), len(appwrite.rows())) == (2, 2)


def test_a_row_that_hit_a_fault_of_ours_stays_out_with_its_name(
    appwrite: Appwrite, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    appwrite.create("made", **FIT)
    settings.RACE_PROVIDERS = None
    with caplog.at_level(logging.WARNING):
        assert pulled().unreadable == 1
    assert problem_of_row().startswith("TypeError: ")
    assert caplog.records[0].exc_info
    settings.RACE_PROVIDERS = ("sandbox",)
    assert swept().taken == 1
