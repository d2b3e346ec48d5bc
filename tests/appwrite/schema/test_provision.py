"""The tables: declared once, complete, and made as declared on both versions of the server."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from polling.appwrite.api.client import SyncClient, connect
from polling.appwrite.api.rows import Rows
from polling.appwrite.mapping import LOG_FIELDS, RACE_FIELDS, Field, Kind, log_document, race_row_id, read
from polling.appwrite.reconcile import local_values
from polling.appwrite.schema import provision as schema
from polling.errors import Blocked
from polling.models import PollLog, PollState
from races.models import Meeting, Race, Runner
from tests.appwrite.conftest import DATABASE, Appwrite, configuration
from tests.factories import START, make_log, make_meeting, make_race
from tests.sandbox.appwrite_api import Client, wait_until

LONG = 16_381  # a longer text is kept off the row
TAKEN = {"data", "id", "total", "rows"}  # names that the SDK or the API would mistake


def fresh(api: Client, settings: Any, database: str) -> SyncClient:
    """A client whose database does not exist yet."""
    for name, value in configuration(api.port).items():
        setattr(settings, name, value)
    settings.APPWRITE_DATABASE_ID = database
    client = connect()
    assert client is not None
    return client


@pytest.fixture(params=["stand_in", "old_stand_in"], ids=["1.9", "1.8"])
def either(request: pytest.FixtureRequest) -> Client:
    client: Client = request.getfixturevalue(request.param)
    return client


def test_apply_makes_what_plan_says_and_then_nothing_is_missing(
    either: Client, settings: Any, request: pytest.FixtureRequest
) -> None:
    client = fresh(either, settings, "made-again")
    planned = schema.plan(client)
    assert "create the database made-again" in planned
    assert "create the table poll_logs" in planned
    assert "create in races.columns provider: string (40)" in planned
    assert "create in races.indexes by_change: on $updatedAt" in planned
    assert schema.apply(client) == planned
    assert (schema.plan(client), schema.apply(client)) == ([], [])


def test_only_what_is_missing_is_added(stand_in: Client, settings: Any) -> None:
    client = fresh(stand_in, settings, "in-part")
    schema.apply(client)
    path = "/tablesdb/in-part/tables/races"
    stand_in.call("DELETE", f"{path}/columns/staff_note")
    stand_in.call("POST", f"{path}/columns/string", {"key": "theirs", "size": 20, "required": False})
    expected = ["create in races.columns staff_note: string (1000000)"]
    assert schema.plan(client)[:1] == expected
    assert schema.apply(client)[:1] == expected
    keys = [column["key"] for column in stand_in.call("GET", f"{path}/columns?queries[0]={LIMIT}").json()["columns"]]
    assert {"staff_note", "theirs"} <= set(keys)


LIMIT = '{"method":"limit","values":[100]}'


def test_plan_changes_nothing(stand_in: Client, settings: Any) -> None:
    client = fresh(stand_in, settings, "only-planned")
    stand_in.control("DELETE", "requests")
    assert schema.plan(client)
    asked = stand_in.control("GET", "requests").json()["requests"]
    assert {entry["method"] for entry in asked} == {"GET"}


def test_a_column_that_is_still_being_made_is_waited_for(
    stand_in: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = fresh(stand_in, settings, "unsettled")
    schema.apply(client)
    monkeypatch.setattr("sandbox.appwrite.declarations.PROCESSING", timedelta(days=1))
    make_outcome_again(stand_in)
    assert schema.plan(client) == ["wait for races.columns outcome, which is processing"]
    monkeypatch.setattr("sandbox.appwrite.declarations.PROCESSING", timedelta(milliseconds=300))
    make_outcome_again(stand_in)
    schema.apply(client)
    assert schema.plan(client) == []


def make_outcome_again(stand_in: Client) -> None:
    path = "/tablesdb/unsettled/tables/races/columns"
    assert stand_in.call("DELETE", f"{path}/outcome").status_code == 204
    made = stand_in.call("POST", f"{path}/string", {"key": "outcome", "size": 16, "required": False})
    assert made.status_code == 202


def test_a_key_that_may_only_read_cannot_apply(stand_in: Client, settings: Any) -> None:
    fresh(stand_in, settings, "not-allowed")
    settings.APPWRITE_API_KEY = "sandbox-read"
    client = connect()
    assert client is not None
    assert schema.plan(client)
    with pytest.raises(Blocked, match="scope"):
        schema.apply(client)


def test_a_project_that_is_unknown_is_not_taken_for_a_database_to_make(stand_in: Client, settings: Any) -> None:
    fresh(stand_in, settings, "whatever")
    settings.APPWRITE_PROJECT_ID = "another"
    client = connect()
    assert client is not None
    with pytest.raises(Blocked, match="APPWRITE_PROJECT_ID"):
        schema.plan(client)


def test_two_that_apply_at_once_do_not_fail(stand_in: Client, settings: Any) -> None:
    client = fresh(stand_in, settings, "by-two")
    steps = list(schema._Provisioning(client).steps())
    schema.apply(client)
    for step in steps:
        step.carry_out()
    assert schema.plan(client) == []


def test_rewriting_a_table_keeps_its_settings(stand_in: Client, settings: Any) -> None:
    client = fresh(stand_in, settings, "touched")
    schema.apply(client)
    path = "/tablesdb/touched/tables/races"
    ours = {"name": "Our races", "permissions": ['read("any")'], "rowSecurity": True, "enabled": False}
    assert stand_in.call("PUT", path, ours).status_code == 200
    schema._Provisioning(client)._rewrite_table("races")
    table = stand_in.call("GET", path).json()
    assert {"name": table["name"], "permissions": table["$permissions"]} == {
        "name": "Our races",
        "permissions": ['read("any")'],
    }
    assert (table["rowSecurity"], table["enabled"]) == (True, False)


OTHERWISE: list[Any] = [
    pytest.param("provider", "integer", {}, "is of the type integer, not string", id="another type"),
    pytest.param("status", "string", {"size": 20}, "is of the type string, not enum", id="a text for a choice"),
    pytest.param("name", "string", {"size": 50}, "has the size 50, not 200", id="another size"),
    pytest.param("code", "enum", {"elements": ["harness"]}, "lacks the elements thoroughbred", id="an enum"),
    pytest.param("track", "string", {"size": 120, "required": True}, "is required: rows without", id="required"),
    pytest.param("distance_m", "integer", {"array": True}, "is an array", id="an array"),
    pytest.param("outcome", "string", {"size": 16, "default": "x"}, "has a default: it could not be", id="a default"),
]


@pytest.fixture(scope="module")
def drifted(stand_in: Client) -> Client:
    """A database whose columns were made otherwise, beside some that are more than was declared."""
    path = "/tablesdb/made-otherwise/tables/races"
    for route, body in (
        ("/tablesdb", {"databaseId": "made-otherwise"}),
        ("/tablesdb/made-otherwise/tables", {"tableId": "races"}),
    ):
        stand_in.call("POST", route, {**body, "name": "x"})
    for key, kind, options, _ in (case.values for case in OTHERWISE):
        made = stand_in.call("POST", f"{path}/columns/{kind}", {"key": key, "required": False, **options})
        assert made.status_code == 202, made.text
    more = {"key": "result_state", "size": 16, "required": False}
    stand_in.call("POST", f"{path}/columns/string", more)
    stand_in.call("POST", f"{path}/columns/enum", {"key": "theirs", "elements": ["a"], "required": True})
    wait_until(lambda: '"processing"' not in stand_in.call("GET", f"{path}/columns").text)
    for key, kind, column in (("mine", "unique", "provider"), ("ours", "key", "provider"), ("by_change", "key", "$id")):
        made = stand_in.call("POST", f"{path}/indexes", {"key": key, "type": kind, "columns": [column]})
        assert made.status_code == 202, made.text
    return stand_in


@pytest.mark.parametrize(("key", "kind", "options", "words"), OTHERWISE)
def test_a_column_that_is_otherwise_than_declared_is_drift(
    drifted: Client, settings: Any, key: str, kind: str, options: dict[str, Any], words: str
) -> None:
    client = fresh(drifted, settings, "made-otherwise")
    [line] = [each for each in schema.check(client) if each.startswith(f"races.columns {key} ")]
    assert line.startswith(f"races.columns {key} {words}")


def test_what_others_added_is_drift_only_where_it_refuses_rows_of_ours(drifted: Client, settings: Any) -> None:
    lines = schema.check(fresh(drifted, settings, "made-otherwise"))
    assert [line for line in lines if line.startswith(("races.indexes", "races.columns theirs"))] == [
        "races.columns theirs is required: rows without it are refused",
        "races.indexes mine is unique: rows of ours could be refused",
        "races.indexes by_change is on $id, not on $updatedAt",
    ]
    assert "create in races.columns meeting: string (80)" in lines
    assert not [line for line in lines if line.startswith("races.columns result_state")]


def test_check_changes_nothing_and_is_content_with_what_apply_makes(either: Client, settings: Any) -> None:
    client = fresh(either, settings, "checked")
    schema.apply(client)
    either.control("DELETE", "requests")
    assert schema.check(client) == []
    asked = either.control("GET", "requests").json()["requests"]
    assert {entry["method"] for entry in asked} == {"GET"}


@pytest.fixture
def scripted(httpserver: HTTPServer, settings: Any) -> HTTPServer:
    """A server of 1.8 that has all of our tables but one index, and answers what a test wants."""
    for name, value in configuration(httpserver.port).items():
        setattr(settings, name, value)
    httpserver.expect_request("/v1/health/version").respond_with_json({"version": "1.8.1"})
    httpserver.expect_request(f"/v1/tablesdb/{DATABASE}").respond_with_json({"$id": DATABASE})
    for table_id, table in schema.TABLES.items():
        path = f"/v1/tablesdb/{DATABASE}/tables/{table_id}"
        shown = {"$id": table_id, "name": table.name, "$permissions": [], "rowSecurity": False, "enabled": True}
        httpserver.expect_request(path).respond_with_json(shown)
        httpserver.expect_request(f"{path}/columns").respond_with_json({"columns": listed(table.columns)})
        indexes = [key for key in table.indexes if key != "by_change"]
        httpserver.expect_request(f"{path}/indexes", method="GET").respond_with_json({"indexes": listed(indexes)})
    return httpserver


def listed(keys: Iterable[str], status: str = "available", error: str = "") -> list[dict[str, Any]]:
    return [{"key": key, "status": status, "error": error} for key in keys]


def test_a_table_whose_cached_copy_is_stale_is_touched_once(scripted: HTTPServer) -> None:
    """Seen on 1.8.1 for 2 to 3 % of columns: available by the list, and the index is refused all the same."""
    refused = {"message": "not yet", "code": 400, "type": "column_not_available", "version": "1.8.1"}
    made = {"key": "by_change", "type": "key", "status": "processing", "columns": ["$updatedAt"]}
    indexes = f"/v1/tablesdb/{DATABASE}/tables/races/indexes"
    scripted.expect_oneshot_request(indexes, method="POST").respond_with_json(refused, 400)
    scripted.expect_oneshot_request(indexes, method="POST").respond_with_json(made, 202)
    client = connect()
    assert client is not None
    assert schema.apply(client) == ["create in races.indexes by_change: on $updatedAt"]
    writes = [(request.method, request.path) for request, _ in scripted.log if request.method != "GET"]
    assert writes == [("POST", indexes), ("PUT", indexes.removesuffix("/indexes")), ("POST", indexes)]


@pytest.mark.parametrize("status", ["failed", "stuck"])
def test_a_column_that_failed_is_named_with_the_servers_reason(scripted: HTTPServer, status: str) -> None:
    failed = [*listed(schema.TABLES["races"].columns)[1:], *listed(["provider"], status, "row too large")]
    columns = f"/v1/tablesdb/{DATABASE}/tables/races/columns"
    for _ in range(3):
        scripted.expect_oneshot_request(columns).respond_with_json({"columns": failed})
    client = connect()
    assert client is not None
    words = f"races.columns provider {status}: row too large; delete it in Appwrite and apply again"
    assert schema.plan(client)[0] == words
    with pytest.raises(Blocked, match=words):
        schema.apply(client)


# --- completeness ---------------------------------------------------------------------------------------------------


def test_every_column_has_a_field_and_every_field_a_column() -> None:
    assert schema.TABLES["races"].columns.keys() == RACE_FIELDS.keys()
    assert schema.TABLES["poll_logs"].columns.keys() == {"race_id", *LOG_FIELDS}


def test_no_column_has_a_name_that_the_api_mistakes() -> None:
    for table in schema.TABLES.values():
        assert not TAKEN & table.columns.keys()
        assert all(len(key) <= 36 for key in table.columns)


def test_long_documents_are_kept_off_the_row() -> None:
    columns = schema.TABLES["races"].columns
    assert all(columns[key].size > LONG for key in ("runners", "results", "dividends", "staff_note"))


def source_of(field: Field, model: type[Any]) -> Any:
    name, _, of_meeting = field.source.partition(".")
    if field.kind is Kind.DAY:
        return Meeting._meta.get_field(name)  # a race without a meeting has one too, from its start
    return Meeting._meta.get_field(of_meeting) if of_meeting else model._meta.get_field(name)


@pytest.mark.parametrize(
    ("table", "fields", "model"), [("races", RACE_FIELDS, Race), ("poll_logs", LOG_FIELDS, PollLog)]
)
def test_every_field_is_one_of_the_model_and_fits_its_column(
    table: str, fields: dict[str, Field], model: type[Any]
) -> None:
    for key, field in fields.items():
        longest = getattr(source_of(field, model), "max_length", None)
        size = schema.TABLES[table].columns[key].size
        assert not size or size >= (longest or 0), f"{table}.{key}"


def a_full_race() -> Race:
    """A race with a value in every field that is synced, long texts and strange letters among them."""
    race = make_race(
        meeting=make_meeting(name="Ōtaki 🐎"), number=3, name="The “Cup”", distance_m=2040, status="finalized",
        provider_status="Final", actual_start=START + timedelta(seconds=68, microseconds=123_456),
        outcome="resulted", result_state="final", result_version=2, finalized_by="provider", finalized_at=START,
        last_poll_time=START, last_changed_at=START, polling_paused=True, staff_note="x" * 20_000,
        poll_requested_at=START, version=7,
        results=[{"runner_number": 1, "position": 1, "name": "Pūkeko", "margin": "0.5"}],
        dividends=[{"pool": "win", "product": "tote", "selection": [1], "amount": "2.30", "state": "final"}],
    )  # fmt: skip
    for number in range(1, 25):
        Runner.objects.create(
            race=race, number=number, name=f"Runner {number} " + "🐎" * 50, barrier=number, jockey="J" * 100,
            trainer="T" * 100, scratched_at=START, fixed_win="2.5", fixed_place="1.10", tote_win="100",
            tote_place="9999999.99",
        )  # fmt: skip
    return race


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("version", ["appwrite", "old_appwrite"])
def test_every_field_of_a_race_round_trips(version: str, request: pytest.FixtureRequest) -> None:
    appwrite: Appwrite = request.getfixturevalue(version)
    client = connect()
    assert client is not None
    race = a_full_race()
    values = local_values(Race.objects.select_related("meeting").get(pk=race.pk))
    assert all(value is not None for value in values.values()), "a field that is null proves nothing"
    rows = Rows(client, "races", deadline=float("inf"))
    [reply] = rows.create([{"$id": race_row_id(race), **values}])
    assert read(reply).values == values
    assert read(appwrite.row()).values == values


@pytest.mark.django_db(transaction=True)
def test_every_field_of_a_poll_log_round_trips(appwrite: Appwrite) -> None:
    client = connect()
    assert client is not None
    log = make_log(make_race(), state=PollState.FAILED, http_status=503, error_class="Unavailable", message="é" * 500)
    document = log_document(log, race_row="a" * 32)
    assert all(value is not None for value in document.values())
    [reply] = Rows(client, "poll_logs", deadline=float("inf")).create([document])
    assert document.items() <= reply.items()
