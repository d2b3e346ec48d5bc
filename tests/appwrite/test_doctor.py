"""`manage.py doctor`: each thing that is needed, here and in Appwrite, and one clear line for each that is missing."""

import json
import re
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from pytest_httpserver import HTTPServer

from polling import clock
from polling.appwrite.schema import webhook_subscription
from polling.models import ProviderState, SyncServer
from polling.monitoring import heartbeat
from races.models import Race
from tests.appwrite.conftest import NOW, TARGET, Appwrite
from tests.factories import make_race

pytestmark = pytest.mark.django_db(transaction=True)
RUN = "rows.read,rows.write"
LOOK = "databases.read,tables.read,columns.read,indexes.read"


@pytest.fixture(autouse=True)
def _a_tick_has_just_ended() -> Any:
    now = clock.now()  # the stand-in reads the same clock
    with time_machine.travel(now, tick=False):
        heartbeat.record(now=now)
        yield


def examined(*options: str) -> tuple[int, str]:
    """The exit code, and what is printed."""
    out = StringIO()
    try:
        call_command("doctor", *options, stdout=out)
    except CommandError as error:
        assert "\n" not in str(error)
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def line(check: str) -> str:
    """The finding of one check: its state and the words."""
    [found] = [line for line in examined()[1].splitlines() if line[7:].startswith(f"{check}: ")]
    return f"{found[:7].strip()} {found[7:].partition(': ')[2]}"


def test_where_all_is_well_every_check_says_so(appwrite: Appwrite) -> None:
    assert examined() == (
        0,
        f"ok     database: {connection.vendor} answers, and has all tables\n"
        "ok     queue: 0 tasks wait in the database\n"
        "ok     ticks: the last tick ended well 0 s ago\n"
        "ok     providers: sandbox\n"
        "ok     answers: everything that came was stored\n"
        "ok     old rows: none is older than it is kept\n"
        "ok     appwrite: Appwrite 1.9.6 answers\n"
        "ok     key: it has every scope that is needed\n"
        "ok     compare-and-set: a stale write is refused\n"
        "ok     tables: they are as declared\n"
        "note   webhook: APPWRITE_WEBHOOK_SECRET is not set: changes come with the pull, every 15 s\n",
    )
    assert appwrite.rows() == Appwrite(appwrite.api, "poll_logs").rows() == []


def test_the_findings_in_json(appwrite: Appwrite, settings: Any) -> None:
    settings.RACE_PROVIDERS = ()
    code, output = examined("--json")
    findings = {finding["check"]: finding for finding in json.loads(output)}
    assert (code, findings["providers"]["state"], findings["tables"]["state"]) == (1, "failed", "ok")
    assert findings["providers"]["words"] == "RACE_PROVIDERS names none: there is nothing to poll"


# --- here -----------------------------------------------------------------------------------------------------------


def test_what_was_not_taken_of_the_answers_is_a_note_while_it_is_fresh() -> None:
    now = clock.now()
    state = ProviderState.objects.create(
        name="sandbox", older_answers=3, older_answer_at=now - timedelta(minutes=59), left_out={"rows": 2}
    )
    make_race(start=now + timedelta(hours=1), off_card_since=now)
    assert line("answers") == (
        "note sandbox: 3 answers so far were older than what is stored and were refused, the last at "
        f"{state.older_answer_at:%Y-%m-%d %H:%M:%S} UTC; sandbox: 2 rows of its card could not be read; "
        "1 races still to come are not on their provider's card any more"
    )
    Race.objects.update(advertised_start=now - timedelta(minutes=1))
    ProviderState.objects.update(older_answer_at=now - timedelta(minutes=61), left_out={"rows that are no races": 1})
    assert line("answers") == "ok everything that came was stored"


def test_without_appwrite_that_is_a_note() -> None:
    code, output = examined()
    assert (code, output.splitlines()[-1]) == (0, "note   appwrite: not configured: nothing is synced")


def test_ticks_that_stopped_or_never_came(appwrite: Appwrite) -> None:
    with time_machine.travel(clock.now() + heartbeat.overdue_after() * 2, tick=False):
        assert line("ticks") == "failed the last tick ended well 75 s ago; is `manage.py qcluster` running?"
    heartbeat.last().delete()  # type: ignore[union-attr]
    assert line("ticks") == "failed no tick has ended well yet; is `manage.py qcluster` running?"


def execute(sql: str, *values: str | datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_a_check_that_breaks_does_not_hide_the_others() -> None:
    execute("ALTER TABLE polling_heartbeat RENAME TO elsewhere")
    try:
        output = examined()[1]
    finally:
        execute("ALTER TABLE elsewhere RENAME TO polling_heartbeat")
    assert re.search(r"^failed ticks: \w+Error: .*polling_heartbeat", output, re.M)
    assert "ok     queue: 0 tasks wait in the database\n" in output


def test_migrations_that_are_not_applied() -> None:
    newest = max(name for app, name in MigrationRecorder(connection).applied_migrations() if app == "polling")
    execute("DELETE FROM django_migrations WHERE app = 'polling' AND name = %s", newest)
    try:
        assert line("database") == "failed 1 migrations are not applied; run `manage.py migrate`"
    finally:
        execute("INSERT INTO django_migrations (app, name, applied) VALUES ('polling', %s, %s)", newest, NOW)


# --- the key --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "state", "lacking"),
    [
        pytest.param(f"{RUN},{LOOK}", "ok", None, id="all"),
        pytest.param(f"documents.read,documents.write,{LOOK}", "ok", None, id="those of the older API"),
        pytest.param(RUN, "note", LOOK.replace(",", ", "), id="to sync alone"),
        pytest.param(f"rows.read,{LOOK}", "failed", "rows.write", id="no writing"),
        pytest.param(f"rows.write,{LOOK}", "failed", "rows.read", id="no reading"),
        pytest.param(f"{RUN},databases.read,tables.read,columns.read", "ok", None, id="tables.read opens their parts"),
    ],
)
def test_the_scopes_that_a_key_lacks_are_named(
    appwrite: Appwrite, settings: Any, scopes: str, state: str, lacking: str | None
) -> None:
    settings.APPWRITE_API_KEY = f"sandbox:{scopes}"
    assert line("key") == f"{state} " + (f"it lacks {lacking}" if lacking else "it has every scope that is needed")


def test_for_a_webhook_its_scopes_are_needed_too(appwrite: Appwrite, settings: Any) -> None:
    settings.APPWRITE_WEBHOOK_SECRET = "long enough"
    settings.APPWRITE_API_KEY = f"sandbox:{RUN},{LOOK}"
    assert line("key") == "note it lacks webhooks.read, webhooks.write"


def test_tables_that_the_key_may_not_look_at_are_no_failure(appwrite: Appwrite, settings: Any) -> None:
    settings.APPWRITE_API_KEY = f"sandbox:{RUN}"
    assert examined()[0] == 0
    assert line("tables").startswith("note not compared with the declaration: the key of APPWRITE_API_KEY lacks")


# --- the server -----------------------------------------------------------------------------------------------------


def test_1_8_is_a_note(old_appwrite: Appwrite) -> None:
    assert examined()[0] == 0
    assert line("appwrite").startswith("note Appwrite 1.8.1 answers; two writers that race may both pass")


def test_a_server_without_compare_and_set_fails(careless: HTTPServer) -> None:
    careless.expect_request(re.compile("/v1/tablesdb/.*")).respond_with_json({"type": "row_not_found"}, 404)
    assert line("compare-and-set").startswith("failed this Appwrite takes a write that was made against an older state")


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        pytest.param({"kind": "html", "status": 200}, "appwrite", "answers with a web page: a login page", id="portal"),
        pytest.param({"kind": "redirect"}, "appwrite", "redirects to 127.0.0.1", id="redirect"),
        pytest.param({"kind": "status", "status": 503}, "appwrite", "HTTP 503", id="failing"),
        pytest.param({"kind": "key_revoked", "after": 1}, "key", "is not, or no longer, accepted", id="key revoked"),
    ],
)
def test_what_stands_in_the_way_is_one_line_and_the_rest_is_not_asked(
    appwrite: Appwrite, fault: dict[str, Any], check: str, words: str
) -> None:
    appwrite.fault(**fault)
    code, output = examined()
    *_, last = output.splitlines()
    assert code == 1
    assert last.startswith(f"failed {check}: ")
    assert words in last


def test_a_database_that_was_deleted_is_named(appwrite: Appwrite, settings: Any) -> None:
    settings.APPWRITE_DATABASE_ID = "deleted"
    assert "does not have the database of APPWRITE_DATABASE_ID" in line("compare-and-set")
    assert line("tables").startswith("failed create the database deleted; create the table races; ")


def test_settings_that_cannot_be_right_are_named(appwrite: Appwrite, settings: Any) -> None:
    settings.APPWRITE_DATABASE_ID = "../x"
    assert line("appwrite").startswith("failed APPWRITE_DATABASE_ID is no Appwrite id")


def test_a_probe_that_finds_all_mended_lets_the_push_go_on(appwrite: Appwrite) -> None:
    SyncServer.objects.update(compares_and_sets=False, problem="no compare-and-set")
    examined()
    assert (SyncServer.objects.get().compares_and_sets, SyncServer.objects.get().problem) == (True, "")


# --- the webhook ----------------------------------------------------------------------------------------------------


@pytest.fixture
def hooked(appwrite: Appwrite, settings: Any) -> Any:
    settings.APPWRITE_WEBHOOK_SECRET, settings.APPWRITE_WEBHOOK_ID = "long enough", "hook"
    yield appwrite
    appwrite.api.control("DELETE", "webhooks")


def test_the_state_of_the_webhook(hooked: Appwrite) -> None:
    assert line("webhook").startswith("note there is none")
    body = {"webhookId": "hook", "name": "x", "url": "http://127.0.0.1:9/", "events": [webhook_subscription.event()]}
    hooked.api.call("POST", "/webhooks", body)
    assert line("webhook") == "ok it is enabled; it has not reported a row yet"
    SyncServer.objects.filter(target=TARGET).update(notified_at=NOW)
    assert line("webhook") == f"ok it is enabled; it last reported a row at {NOW:%Y-%m-%d %H:%M:%S} UTC"
    hooked.api.call("PUT", "/webhooks/hook", {**body, "events": ["databases.*.create"], "enabled": False})
    assert line("webhook") == "failed it does not report races and is disabled"


def test_a_webhook_that_the_key_may_not_look_at_is_a_note(hooked: Appwrite, settings: Any) -> None:
    settings.APPWRITE_API_KEY = f"sandbox:{RUN},{LOOK}"
    assert line("webhook") == "note this key may not read it; it has not reported a row yet"
