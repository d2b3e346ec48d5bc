"""What a race's page shows, and the one thing that is written on it."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from polling.admin.race_tables import NEWEST
from polling.admin.table import Table
from polling.models import PollState
from races import decisions
from races.decisions import Actor
from races.models import PriceChange, Race, Runner
from tests.factories import START, make_log, make_race

pytestmark = pytest.mark.django_db


def path(race: Race) -> str:
    return reverse("admin:races_race_change", args=[race.pk])


def table(client: Client, race: Race, name: str) -> list[list[str]]:
    """The rows of one of the page's tables, as text."""
    tables: list[Table] = client.get(path(race)).context["tables"]
    [found] = [table for table in tables if table.name == name]
    return [[str(cell) for cell in row] for row in found.rows]


def test_runners_are_shown_with_their_odds_and_scratchings(admin_client: Client) -> None:
    race = make_race()
    runner = Runner.objects.create(race=race, number=1, name="Swift Kauri", barrier=7, jockey="J", fixed_win="4.20")
    for minutes, odds in ((2, "5"), (1, "4.6")):
        PriceChange.objects.create(runner=runner, observed_at=START - timedelta(minutes=minutes), fixed_win=odds)
    Runner.objects.create(race=race, number=2, name="Glass Harbour", scratched_at=START)
    first, second = table(admin_client, race, "runners")
    assert first == ["1", "Swift Kauri", "7", "J", "", "5.00", "4.20", "–", "–", "–"]
    assert "<s>Glass Harbour</s>" in second[1]
    assert ">scratched<" in second[1]


def test_a_coupled_entry_and_a_runner_that_left_the_field_are_shown_as_such(admin_client: Client) -> None:
    result = {"runner_number": "1A", "position": 1, "code": "", "name": "", "margin": None}
    race = make_race(results=[result])
    Runner.objects.create(race=race, number=2, name="Glass Harbour", absent_since=START)
    for letter in ("A", ""):
        Runner.objects.create(race=race, number=1, letter=letter, name=f"Swift Kauri {letter}".strip())
    rows = table(admin_client, race, "runners")
    assert [row[:2] for row in rows[:2]] == [["1", "Swift Kauri"], ["1A", "Swift Kauri A"]]
    assert "<s>Glass Harbour</s>" in rows[2][1]
    assert ">not in the field since<" in rows[2][1]
    assert "16:00" in rows[2][1]
    assert table(admin_client, race, "results") == [["1", "1A", "Swift Kauri A", "–"]]


def test_the_page_says_what_was_left_out_and_that_the_card_lacks_the_race(admin_client: Client) -> None:
    race = make_race(left_out={"runners": 2, "dividends": 1}, off_card_since=START)
    html = admin_client.get(path(race)).content.decode()
    assert "1 dividends, 2 runners" in html
    for badge in ("not on the card", "answer incomplete"):
        assert f">{badge}<" in html
    html = admin_client.get(path(make_race(left_out={"runners reported twice": 1}))).content.decode()
    assert ">answer incomplete<" not in html


def test_a_dead_heat_and_a_runner_that_pulled_up_are_shown(admin_client: Client) -> None:
    def result(number: int, position: int | None, code: str = "") -> dict[str, object]:
        return {"runner_number": number, "position": position, "code": code, "name": "", "margin": None}

    race = make_race(results=[result(9, None, "PU"), result(3, 1), result(7, 1), result(1, 3)])
    Runner.objects.create(race=race, number=3, name="Copper Tui")
    rows = table(admin_client, race, "results")
    assert [row[:2] for row in rows] == [["1 dead heat", "3"], ["1 dead heat", "7"], ["3", "1"], ["PU", "9"]]
    assert rows[0][2] == "Copper Tui"


def test_dividends_are_marked_interim_or_final(admin_client: Client) -> None:
    race = make_race(
        dividends=[
            {"pool": "WIN", "product": "tote", "selection": [3], "amount": "2.40", "state": "final"},
            {"pool": "TRI", "product": "tote", "selection": [3, 7, 1], "amount": "86.20", "state": "interim"},
        ]
    )
    final, interim = table(admin_client, race, "dividends")
    assert final[:4] == ["WIN", "tote", "3", "2.40"]
    assert ">final<" in final[4]
    assert interim[2] == "3–7–1"
    assert ">interim<" in interim[4]


def test_the_newest_polls_come_first_and_only_so_many(admin_client: Client) -> None:
    race = make_race()
    for step in range(NEWEST + 5):
        make_log(
            race,
            slot_at=START + timedelta(seconds=15 * step),
            started_at=START + timedelta(seconds=15 * step, milliseconds=38),
        )
    newest = make_log(
        race, slot_at=START + timedelta(hours=1), state=PollState.FAILED,
        http_status=503, error_class="Unavailable", message="no answer",
    )  # fmt: skip
    make_log(make_race(), slot_at=START + timedelta(hours=2))
    rows = table(admin_client, race, "polls")
    assert len(rows) == NEWEST
    assert reverse("admin:polling_polllog_change", args=[newest.pk]) in rows[0][0]
    assert "17:00:00 NZDT" in rows[0][0]
    assert ">failed Unavailable<" in rows[0][2]
    assert rows[0][5:] == ["503", "no answer", "–"]
    assert rows[1][3:5] == ["38 ms", "362 ms"]


def test_decisions_are_shown_with_who_and_why(admin_client: Client) -> None:
    race = make_race()
    decisions.finalize([race.pk], by=Actor("ann"), reason="fog", now=START)
    decisions.finalize([make_race().pk], by=Actor("bob"), reason="flood", now=START)
    [[_, who, what]] = table(admin_client, race, "decisions")
    assert (who, what) == ("ann", "Finalized: fog")


def test_a_note_is_saved_with_one_entry_in_the_audit(staff_client: Callable[..., Client]) -> None:
    race = make_race()
    client = staff_client("view_race", "change_race")
    response = client.post(path(race), {"staff_note": "steward's call", "name": "forged", "status": "finalized"})
    assert response.status_code == 302
    stored = Race.objects.get(pk=race.pk)
    assert stored.staff_note == "steward's call"
    assert (stored.name, stored.status, stored.version) == (race.name, race.status, race.version + 1)
    [entry] = LogEntry.objects.all()
    assert (entry.user.get_username(), entry.change_message) == ("officer", "Note: steward's call")


def test_a_note_that_is_saved_unchanged_leaves_no_trace(staff_client: Callable[..., Client]) -> None:
    race = make_race(staff_note="as it was")
    staff_client("change_race").post(path(race), {"staff_note": "as it was"})
    assert Race.objects.get(pk=race.pk).version == race.version
    assert not LogEntry.objects.exists()


def test_a_page_left_open_does_not_put_back_the_note_it_showed(staff_client: Callable[..., Client]) -> None:
    race = make_race(staff_note="set elsewhere meanwhile")
    shown = {"staff_note": "", "initial-staff_note": ""}
    staff_client("change_race").post(path(race), shown)
    assert Race.objects.get(pk=race.pk).staff_note == "set elsewhere meanwhile"


def test_a_note_that_was_changed_meanwhile_is_not_overwritten_but_shown_beside_ones_own(
    staff_client: Callable[..., Client],
) -> None:
    race = make_race(staff_note="as it was")
    client = staff_client("change_race")
    shown = {"initial-staff_note": "as it was"}
    decisions.annotate([race.pk], note="<b>hers</b>", by=Actor("ann"), now=START)
    response = client.post(path(race), {**shown, "staff_note": "mine"})
    assert response.status_code == 200
    html = response.content.decode()
    assert "Somebody has changed this since the page was shown. It is now: “&lt;b&gt;hers&lt;/b&gt;”." in html
    assert ">\nmine</textarea>" in html
    assert Race.objects.get(pk=race.pk).staff_note == "<b>hers</b>"
    [found] = re.findall('name="initial-staff_note" value="([^"]*)"', html)
    again = {"initial-staff_note": unescape(found), "staff_note": "hers and mine"}
    assert client.post(path(race), again).status_code == 302
    assert Race.objects.get(pk=race.pk).staff_note == "hers and mine"


@pytest.mark.parametrize("note", ["two\nlines", "two\r\nlines", "  set in Appwrite\n"])
def test_a_browsers_line_ends_and_blanks_are_no_change(note: str, staff_client: Callable[..., Client]) -> None:
    race = make_race(staff_note=note)
    as_sent = note.replace("\r\n", "\n").replace("\n", "\r\n")
    response = staff_client("change_race").post(
        path(race), {"initial-staff_note": as_sent, "staff_note": f"{as_sent} and more"}
    )
    assert response.status_code == 302
    assert Race.objects.get(pk=race.pk).staff_note.endswith("and more")


def test_two_who_write_the_same_note_do_not_disagree(staff_client: Callable[..., Client]) -> None:
    race = make_race(staff_note="fog")
    shown = {"initial-staff_note": "", "staff_note": "fog"}
    assert staff_client("change_race").post(path(race), shown).status_code == 302
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("permissions", "names"),
    [
        ((), []),
        (("view_polllog",), ["polls"]),
        (("view_logentry",), ["decisions"]),
        (("view_polllog", "view_logentry"), ["polls", "decisions"]),
    ],
)
def test_polls_and_decisions_are_shown_to_who_may_open_their_pages(
    permissions: tuple[str, ...], names: list[str], staff_client: Callable[..., Client]
) -> None:
    race = make_race()
    make_log(race, message="a provider's words")
    decisions.finalize([race.pk], by=Actor("ann"), reason="a person's words", now=START)
    client = staff_client("view_race", *permissions)
    response = client.get(path(race))
    assert [table.name for table in response.context["tables"]] == ["runners", "results", "dividends", *names]
    html = response.content.decode()
    assert ("a provider&#x27;s words" in html, "a person&#x27;s words" in html) == (
        "polls" in names,
        "decisions" in names,
    )
    history = reverse("admin:races_race_history", args=[race.pk])
    assert (history in html) == ("decisions" in names)
    assert client.get(history).status_code == (200 if "decisions" in names else 403)


def test_who_may_only_view_cannot_save_a_note(staff_client: Callable[..., Client]) -> None:
    race = make_race()
    client = staff_client("view_race")
    assert b"<textarea" not in client.get(path(race)).content
    assert client.post(path(race), {"staff_note": "mine"}).status_code == 403
    assert Race.objects.get(pk=race.pk).staff_note == ""
