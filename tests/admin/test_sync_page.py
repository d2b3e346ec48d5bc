"""The sync page: what it says and in how many queries, what its buttons set going, and who may push them."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from polling.admin.sync.page import NEWEST
from polling.admin.table import Table
from polling.appwrite import sync_state
from polling.appwrite.checkpoints import checkpoint_of
from polling.appwrite.lease import push_of
from polling.models import SyncCheckpoint, SyncConflict, SyncLease, SyncServer, SyncState, UnmatchedRow
from races.models import Race
from tests.admin.conftest import messages_of
from tests.admin.test_pages import Inline, queries
from tests.factories import START, make_race

pytestmark = pytest.mark.django_db

NOW = START - timedelta(minutes=30)
PAGE = reverse("sync")
TARGET = "sandbox/racepoll@stand-in"
StaffClient = Callable[..., Client]


@pytest.fixture(autouse=True)
def configured(settings: Any) -> Iterator[None]:
    settings.APPWRITE_ENDPOINT, settings.APPWRITE_TARGET = "http://127.0.0.1:1/v1", TARGET
    with time_machine.travel(NOW, tick=False):
        yield


def make_problems(count: int) -> None:
    """As many of each: dead rows, unmatched rows, open conflicts; held deletions and a webhook that is off."""
    for number in range(count):
        race = make_race(name=f"Maiden {number}")
        state = sync_state.new_state(race.pk, f"row-{race.pk}", dead_since=NOW, error="InvalidRequest: too long")
        state.save()
        UnmatchedRow.objects.create(
            target=TARGET, table="races", row_id=f"s-{race.pk}", problem="no start", found_at=NOW
        )
        SyncConflict.objects.create(
            state=state, field="staff_note", remote=f"fog {number}", chosen="local", policy="both moved", found_at=NOW
        )
    SyncServer.objects.update_or_create(
        target=TARGET,
        defaults={"version": "1.9.6", "compares_and_sets": True, "webhook_enabled": False, "notifications": 7},
    )
    values = {"deletion_guard": "21 of 30 rows are gone", "pulled_at": NOW - timedelta(seconds=4), "swept_at": None}
    values |= {"updated_at": "2026-11-23T02:29:56.120+00:00", "echoes": 12, "overlap_hits": 3, "repairs": 1}
    SyncCheckpoint.objects.filter(pk=checkpoint_of(sync_state.TABLE).pk).update(**values)


def figures(client: Client, name: str) -> dict[str, list[str]]:
    """The rows of one of the page's tables as text, by the beginning of their headings."""
    tables: list[Table] = client.get(PAGE).context["tables"]
    [found] = [table for table in tables if table.name == name]
    rows = [[str(cell) for cell in row] for row in found.rows]
    return {heading.partition(" <")[0]: cells for heading, *cells in rows}


def queued() -> list[Any]:
    return [task.func() for task in OrmQ.objects.all()]


def test_the_page_says_per_table_how_its_rows_stand(admin_client: Client) -> None:
    make_problems(2)
    make_race()
    rows = figures(admin_client, "rows")
    assert [rows[name] for name in ("Rows", "In sync", "Dirty", "In flight")] == [
        ["3", "0"], ["0", "0"], ["1", "0"], ["0", "0"],
    ]  # fmt: skip
    assert ">2<" in rows["Dead"][0] and "/syncstate/?state=dead" in rows["Dead"][0]
    assert ">2<" in rows["Unmatched rows"][0] and "/unmatchedrow/" in rows["Unmatched rows"][0]


def test_the_page_says_how_far_pull_and_sweep_have_got(admin_client: Client) -> None:
    make_problems(1)
    progress = figures(admin_client, "progress")
    assert "4 s ago" in progress["Checkpoint"][0]
    assert progress["Read up to"][0] == "2026-11-23 02:29:56 UTC"
    assert progress["Last sweep"][0] == "–"
    assert "21 of 30 rows are gone" in progress["Deletion guard"][0]
    assert [progress[name][0] for name in ("Echoes", "Overlap finds", "Repairs")] == ["12", "3", "1"]


def test_the_page_says_what_the_server_is_and_that_its_webhook_is_off(admin_client: Client) -> None:
    make_problems(1)
    server = figures(admin_client, "server")
    assert server["Version"] == ["1.9.6"]
    assert "refuses stale writes" in server["Compare and set"][0]
    assert "disabled" in server["Webhook"][0]
    assert server["Last notification"] == ["never, 7 in all"]


def test_the_page_lists_the_newest_open_conflicts_with_links(admin_client: Client) -> None:
    make_problems(NEWEST + 1)
    resolved = SyncConflict.objects.all()[NEWEST]
    SyncConflict.objects.filter(pk=resolved.pk).update(resolved_at=NOW, resolution="ours")
    html = admin_client.get(PAGE).content.decode()
    assert html.count("both moved") == NEWEST
    assert reverse("admin:polling_syncconflict_change", args=[resolved.pk]) not in html
    SyncConflict.objects.filter(pk=resolved.pk).update(resolved_at=None)
    assert f"Open conflicts, the newest {NEWEST} of {NEWEST + 1}" in admin_client.get(PAGE).content.decode()


def test_the_page_says_in_words_whether_somebody_should_look(admin_client: Client, settings: Any) -> None:
    assert "nothing waits for a decision" in admin_client.get(PAGE).content.decode()
    make_problems(1)
    html = admin_client.get(PAGE).content.decode()
    assert "races: 1 given up until a person acts" in html
    settings.APPWRITE_ENDPOINT = ""
    html = admin_client.get(PAGE).content.decode()
    assert "Appwrite is not configured" in html
    assert 'name="do"' not in html


def test_the_page_is_not_well_while_conflicts_or_rows_of_no_race_wait(admin_client: Client) -> None:
    conflict = SyncConflict.objects.create(field="name", chosen="local", policy="undone", found_at=NOW)
    html = admin_client.get(PAGE).content.decode()
    assert "1 open conflict to resolve" in html
    assert "nothing waits for a decision" not in html
    SyncConflict.objects.filter(pk=conflict.pk).update(resolved_at=NOW)
    assert "nothing waits for a decision" in admin_client.get(PAGE).content.decode()
    for row_id in "ab":
        UnmatchedRow.objects.create(target=TARGET, table="races", row_id=row_id, problem="no start", found_at=NOW)
    html = admin_client.get(PAGE).content.decode()
    assert "races: 2 rows of no race" in html
    assert "nothing waits for a decision" not in html


@pytest.mark.parametrize("may", ["syncstate", "unmatchedrow", ""])
def test_the_numbers_lead_only_to_pages_that_the_reader_may_open(staff_client: StaffClient, may: str) -> None:
    make_problems(1)
    client = staff_client("view_synccheckpoint", *([f"view_{may}"] if may else []))
    html = client.get(PAGE).content.decode()
    for model in ("syncstate", "unmatchedrow"):
        page = reverse(f"admin:polling_{model}_changelist")
        assert (f'href="{page}' in html) is (model == may)
        assert client.get(page).status_code == (200 if model == may else 403)


def test_what_a_row_in_appwrite_says_cannot_become_markup(admin_client: Client) -> None:
    make_problems(1)
    SyncConflict.objects.update(remote="<script>x</script>")
    SyncCheckpoint.objects.update(deletion_guard="<b>", error="<i>")
    html = admin_client.get(PAGE).content.decode()
    assert "&lt;script&gt;" in html
    assert not any(markup in html for markup in ("<script>x", "<b>", "<i>"))


def test_the_page_takes_as_many_queries_for_many_rows_as_for_few(admin_client: Client) -> None:
    make_problems(2)
    few = queries(admin_client, PAGE)
    make_problems(25)
    assert queries(admin_client, PAGE) == few <= 20


def test_the_front_page_leads_to_the_page_whoever_may_see_it(admin_client: Client, staff_client: StaffClient) -> None:
    front = reverse("admin:index")
    html = admin_client.get(front).content.decode()
    assert f'href="{PAGE}"' in html and Inline(html).found == []
    assert f'href="{PAGE}"' not in staff_client("view_race").get(front).content.decode()


def test_a_push_asked_for_is_queued_and_does_not_wait_for_a_backoff(admin_client: Client) -> None:
    state = sync_state.new_state(make_race().pk, "r", next_try_at=NOW + timedelta(minutes=5), attempts=3)
    state.save()
    SyncLease.objects.create(work=push_of(sync_state.TABLE), held_until=NOW + timedelta(minutes=1))
    response = admin_client.post(PAGE, {"do": "push"})
    assert (response.headers["Location"], messages_of(response)) == (PAGE, ["A push has been asked for."])
    assert queued() == ["polling.tasks.push"]
    assert SyncState.objects.get().next_try_at is None
    assert SyncLease.objects.get(work=push_of(sync_state.TABLE)).held_until is None


def test_a_pull_asked_for_is_queued(admin_client: Client) -> None:
    admin_client.post(PAGE, {"do": "pull"})
    assert queued() == ["polling.tasks.sync"]


def test_the_deletion_guard_is_released_by_a_button_and_it_is_audited(staff_client: StaffClient) -> None:
    make_problems(1)
    client = staff_client("change_synccheckpoint", "view_synccheckpoint")
    assert "Release the deletion guard of races" in client.get(PAGE).content.decode()
    client.post(PAGE, {"do": "release", "table": "races"})
    assert SyncCheckpoint.objects.get().deletion_guard == ""
    [entry] = LogEntry.objects.all()
    assert (entry.user.get_username(), "21 of 30 rows are gone" in entry.change_message) == ("officer", True)
    assert "Release the deletion guard" not in client.get(PAGE).content.decode()


def test_a_deletion_guard_that_says_something_else_by_now_is_not_released_unseen(admin_client: Client) -> None:
    make_problems(1)
    assert 'name="deletion_guard" value="21 of 30 rows are gone"' in admin_client.get(PAGE).content.decode()
    SyncCheckpoint.objects.update(deletion_guard="29 of 30 rows are gone")
    shown = {"do": "release", "table": "races", "deletion_guard": "21 of 30 rows are gone"}
    [message] = messages_of(admin_client.post(PAGE, shown))
    assert message.startswith("Changed since the page was shown") and "29 of 30 rows are gone" in message
    assert SyncCheckpoint.objects.get().deletion_guard == "29 of 30 rows are gone"
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("data", [{}, {"do": "sweep"}, {"do": "release"}, {"do": "release", "table": "x" * 300}])
def test_a_deed_that_is_none_does_nothing(data: dict[str, str], admin_client: Client) -> None:
    make_problems(1)
    response = admin_client.post(PAGE, data)
    assert (response.status_code, messages_of(response)) == (302, [])
    assert (queued(), SyncCheckpoint.objects.get().deletion_guard) == ([], "21 of 30 rows are gone")


@pytest.mark.parametrize("action", ["push", "pull", "release"])
def test_who_may_only_view_the_page_sees_no_buttons_and_sets_nothing_going(
    action: str, staff_client: StaffClient
) -> None:
    make_problems(1)
    client = staff_client("view_synccheckpoint")
    html = client.get(PAGE).content.decode()
    assert 'name="do"' not in html
    assert "both moved" not in html  # conflicts have a permission of their own
    assert client.post(PAGE, {"do": action, "table": "races"}).status_code == 403
    assert (queued(), SyncCheckpoint.objects.get().deletion_guard) == ([], "21 of 30 rows are gone")


def test_who_may_not_view_it_is_refused_and_who_is_nobody_is_asked_to_log_in(staff_client: StaffClient) -> None:
    assert staff_client("view_race").get(PAGE).status_code == 403
    assert Client().get(PAGE).headers["Location"].startswith(reverse("admin:login"))


def test_a_button_without_its_token_does_nothing(admin_user: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.post(PAGE, {"do": "push"}).status_code == 403
    assert queued() == []


# --- the page and the strip above it ----------------------------------------------------------------------------------


def make_row(**values: Any) -> SyncState:
    race = make_race()
    state = sync_state.new_state(race.pk, f"row-{race.pk}", **{"pushed_version": race.version, "error": "503"} | values)
    state.save()
    return state


def make_checkpoint(table: str, **values: Any) -> None:
    SyncCheckpoint.objects.filter(pk=checkpoint_of(table).pk).update(**values)


def make_server(**values: Any) -> None:
    SyncServer.objects.create(target=TARGET, **values)


def of_another_appwrite() -> None:
    SyncState.objects.filter(pk=make_row(dead_since=NOW).pk).update(target="another")
    SyncCheckpoint.objects.create(target="another", table="races", error="503", deletion_guard="too many")
    UnmatchedRow.objects.create(target="another", table="races", row_id="s", problem="no start", found_at=NOW)


AHEAD = NOW + timedelta(minutes=1)
CONFLICT: dict[str, Any] = {"field": "staff_note", "chosen": "local", "policy": "both moved", "found_at": NOW}
WELL: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "a row that failed and has nothing to push any more": lambda: make_row(attempts=1, next_try_at=AHEAD),
    "a row that failed and that a sweep makes again": lambda: make_row(
        pushed_version=0, attempts=1, next_try_at=AHEAD, base_updated_at="2026", remote_deleted_at=NOW
    ),
    "a row to push": lambda: make_row(pushed_version=0),
    "a conflict that is settled": lambda: SyncConflict.objects.create(**CONFLICT, resolved_at=NOW),
    "all of another Appwrite": of_another_appwrite,
    "a webhook that nobody asked for": lambda: make_server(webhook_enabled=False, webhook_problem=""),
}
NOT_WELL: dict[str, Callable[[], object]] = {
    "a row given up": lambda: make_row(dead_since=NOW),
    "a row that waits": lambda: make_row(pushed_version=0, attempts=1, next_try_at=AHEAD),
    "a row whose next try is due": lambda: make_row(pushed_version=0, attempts=1, next_try_at=NOW),
    "a row that waits and whose race is gone": lambda: Race.objects.filter(
        pk=make_row(attempts=1, next_try_at=AHEAD).local_pk
    ).delete(),
    "a row of no race": lambda: UnmatchedRow.objects.create(
        target=TARGET, table="races", row_id="s", problem="no start", found_at=NOW
    ),
    "a conflict": lambda: SyncConflict.objects.create(**CONFLICT),
    "a pull that fails": lambda: make_checkpoint("races", error="503"),
    "a sweep that fails": lambda: make_checkpoint("races", sweep_error="503"),
    "deletions that wait": lambda: make_checkpoint("races", deletion_guard="21 of 30 rows are gone"),
    "poll logs that fail": lambda: make_checkpoint("poll_logs", error="503"),
    "a sweep of the poll logs that fails": lambda: make_checkpoint("poll_logs", sweep_error="503"),
    "a server that takes stale writes": lambda: make_server(problem="it takes stale writes"),
    "a webhook that is off": lambda: make_server(webhook_enabled=False, webhook_problem="it is off"),
}


@pytest.mark.parametrize("case", WELL | NOT_WELL)
def test_the_strip_is_red_exactly_when_the_page_is_not_well(case: str, admin_client: Client) -> None:
    (WELL | NOT_WELL)[case]()
    response = admin_client.get(PAGE)
    red = {cell.title for cell in response.context["cells"] if cell.level == "bad"} & {"Appwrite", "Conflicts"}
    assert bool(red) is (case in NOT_WELL)
    assert ("Needs attention" in response.content.decode()) is (case in NOT_WELL)


def test_the_page_is_not_well_while_nothing_is_read_from_appwrite(admin_client: Client) -> None:
    make_checkpoint("races", pulled_at=NOW - timedelta(minutes=10))
    html = admin_client.get(PAGE).content.decode()
    assert "Nothing has been read from Appwrite for some time" in html
    assert "No row is dead" not in html
    make_checkpoint("races", pulled_at=NOW)
    assert "Nothing has been read" not in admin_client.get(PAGE).content.decode()
