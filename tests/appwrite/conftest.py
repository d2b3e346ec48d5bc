"""The Appwrite stand-in over real HTTP, with our tables, empty for every test."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import F
from django.test.utils import override_settings
from pytest_httpserver import HTTPServer

from polling.appwrite import sync_state
from polling.appwrite.api import capabilities, parallel
from polling.appwrite.api import client as client_module
from polling.appwrite.api.client import connect
from polling.appwrite.pull import run as pull
from polling.appwrite.pull.run import Pulled
from polling.appwrite.push import run as push
from polling.appwrite.push.run import Pushed
from polling.appwrite.schema import provision as schema
from polling.appwrite.sweep import run as sweep
from polling.appwrite.sweep.run import Swept
from polling.models import SyncConflict, SyncServer, SyncState
from races.models import Race
from tests.appwrite.gate import Gate, gate_before
from tests.factories import START, make_race
from tests.sandbox.appwrite_api import Client, query, running

NOW = START - timedelta(minutes=30)
TOO_EARLY = datetime(900, 1, 1, tzinfo=UTC)  # our databases take the year, Appwrite does not
PATIENCE = timedelta(minutes=10)  # a machine under load is slow, and what is tested here is not its speed
DATABASE = "racepoll"
TARGET = "sandbox/racepoll@stand-in"


def configuration(port: int) -> dict[str, str]:
    """The settings that lead to a stand-in on this port."""
    return {
        "APPWRITE_ENDPOINT": f"http://127.0.0.1:{port}/v1",
        "APPWRITE_PROJECT_ID": "sandbox",
        "APPWRITE_API_KEY": "sandbox",
        "APPWRITE_DATABASE_ID": DATABASE,
        "APPWRITE_TARGET": TARGET,
        "APPWRITE_POLL_LOGS": "errors",
    }


def change(race: Race, **values: Any) -> None:
    """A change of content as the ingest makes it: the version rises with it."""
    Race.objects.filter(pk=race.pk).update(**values, version=F("version") + 1)


def pushed(now: datetime = NOW) -> Pushed:
    """A push that had no error, and all the time it needed."""
    done = push.run(now=now)
    assert done.error is None
    return done


def pulled(now: datetime = NOW) -> Pulled:
    """A pull that had no error, and all the time it needed."""
    done = pull.run(now=now)
    assert done.error is None
    return done


def swept(now: datetime = NOW) -> Swept:
    """A sweep that had no error and came to its end."""
    done = sweep.run(now=now)
    assert done.error is None
    assert done.finished
    return done


def agreed(appwrite: "Appwrite", number: int) -> list[Race]:
    """Races that both sides agree on; the requests so far are not counted."""
    races = [make_race() for _ in range(number)]
    pushed()
    pulled()
    appwrite.forget()
    return races


def edit(appwrite: "Appwrite", race: Race, **values: Any) -> None:
    """What somebody does to a race in Appwrite."""
    appwrite.edit(state_of(race).remote_id, **values)


def audit(race: Race) -> list[tuple[str, str]]:
    """Who decided what about a race, in words."""
    entries = LogEntry.objects.filter(object_id=str(race.pk)).order_by("pk")
    return [(entry.user.username, entry.change_message) for entry in entries]


def conflicts() -> list[tuple[str, Any, Any, str]]:
    return list(SyncConflict.objects.order_by("pk").values_list("field", "local", "remote", "chosen"))


def state_of(race: Race) -> SyncState:
    return sync_state.states().get(local_pk=race.pk)


class Appwrite:
    """What somebody else does in Appwrite, and what it was asked."""

    def __init__(self, api: Client, table: str = "races") -> None:
        self.api = api
        self.port = api.port
        self.path = f"/tablesdb/{DATABASE}/tables/{table}/rows"

    def rows(self) -> list[dict[str, Any]]:
        reply = self.api.call("GET", self.path, params={"queries[0]": query("limit", values=[1000])})
        assert reply.status_code == 200, reply.text
        return list(reply.json()["rows"])

    def row(self) -> dict[str, Any]:
        [row] = self.rows()
        return row

    def create(self, row_id: str, **values: Any) -> None:
        reply = self.api.call("POST", self.path, {"rowId": row_id, "data": values})
        assert reply.status_code == 201, reply.text

    def edit(self, row_id: str, **values: Any) -> None:
        reply = self.api.call("PATCH", f"{self.path}/{row_id}", {"data": values})
        assert reply.status_code == 200, reply.text

    def create_many(self, *rows: dict[str, Any]) -> None:
        """By an upsert, which checks no id."""
        reply = self.api.call("PUT", self.path, {"rows": list(rows)})
        assert reply.status_code == 200, reply.text

    def edit_all(self, **values: Any) -> None:
        """In one call, so that all rows share an `$updatedAt`."""
        assert self.api.call("PATCH", self.path, {"data": values, "queries": []}).status_code == 200

    def delete_all(self) -> None:
        assert self.api.call("DELETE", self.path, {}).status_code == 200

    def delete(self, row_id: str) -> None:
        assert self.api.call("DELETE", f"{self.path}/{row_id}").status_code == 204

    def fault(self, kind: str, **options: Any) -> None:
        """A fault hits the next request, or the next `times` of them."""
        reply = self.api.control("POST", "faults", {"kind": kind, **options})
        assert reply.status_code == 201, reply.text

    def heal(self) -> None:
        self.api.control("DELETE", "faults")

    def forget(self) -> None:
        """Begins to count requests from scratch."""
        self.api.control("DELETE", "requests")

    def asked(self, method: str = "", path: str = "") -> list[str]:
        """The requests since the last `forget`, as method and path."""
        entries = self.api.control("GET", "requests").json()["requests"]
        lines = [f"{entry['method']} {entry['path'].removeprefix('/v1')}" for entry in entries]
        return [line for line in lines if line.startswith(method) and path in line]


def _prepared(api: Client) -> None:
    with override_settings(**configuration(api.port)):
        client = connect()
        assert client is not None
        schema.apply(client)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pass has the time it needs, unless a test says how long: what is tested here is not the machine's speed."""
    for run in (push.run, pull.run, sweep.run):
        monkeypatch.setattr(run, "__kwdefaults__", {**(run.__kwdefaults__ or {}), "budget": PATIENCE})


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("appwrite")) as api:
        _prepared(api)
        yield api


@pytest.fixture(scope="session")
def old_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("appwrite-1.8"), version="1.8.1") as api:
        _prepared(api)
        yield api


def probed(version: str) -> None:
    """Django knows the server, and asks no more what it can do."""
    values = {"version": version, "compares_and_sets": True, "probed_at": NOW + timedelta(days=365)}
    SyncServer.objects.update_or_create(target=TARGET, defaults=values)


def empty(api: Client) -> None:
    """No rows, no faults."""
    api.control("DELETE", "faults")
    for table in schema.TABLES:
        api.call("DELETE", f"/tablesdb/{DATABASE}/tables/{table}/rows", {})


def _emptied(api: Client, settings: Any, request: pytest.FixtureRequest) -> Appwrite:
    for name, value in configuration(api.port).items():
        setattr(settings, name, value)
    empty(api)
    parallel.concurrency_of.cache_clear()  # what another test's server was like
    client = connect()
    assert client is not None and client.server_version()  # asked once a process, and never counted in a test
    if request.node.get_closest_marker("django_db"):
        probed(".".join(map(str, client.server_version())))
    api.control("DELETE", "requests")
    return Appwrite(api)


@pytest.fixture
def appwrite(stand_in: Client, settings: Any, request: pytest.FixtureRequest) -> Appwrite:
    """The table of races in a stand-in of Appwrite 1.9, which the settings name."""
    return _emptied(stand_in, settings, request)


@pytest.fixture
def race(appwrite: Appwrite) -> Race:
    """A race that both sides agree on."""
    [race] = agreed(appwrite, 1)
    return race


@pytest.fixture
def old_appwrite(old_stand_in: Client, settings: Any, request: pytest.FixtureRequest) -> Appwrite:
    """The same in a stand-in of Appwrite 1.8."""
    return _emptied(old_stand_in, settings, request)


def wait_for_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook of a gate may take its time: the client waits for it on the slowest machine."""
    monkeypatch.setattr(client_module, "SILENT_SECONDS", PATIENCE.total_seconds())
    monkeypatch.setattr(client_module, "TOTAL_SECONDS", math.inf)


@pytest.fixture
def gate(appwrite: Appwrite, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate before the table: the settings lead to it, `appwrite` goes past it."""
    wait_for_hooks(monkeypatch)
    with gate_before(appwrite.port) as (gate, port):
        settings.APPWRITE_ENDPOINT = f"http://127.0.0.1:{port}/v1"
        client = connect()
        assert client is not None and client.server_version()
        appwrite.forget()
        yield gate


@pytest.fixture
def careless(httpserver: HTTPServer, settings: Any) -> HTTPServer:
    """A server that takes any write, however old its base is."""
    for name, value in configuration(httpserver.port).items():
        setattr(settings, name, value)
    logs = f"/v1/tablesdb/{DATABASE}/tables/{capabilities.CANARY_TABLE}/rows"
    row = {"$id": capabilities.CANARY}
    httpserver.expect_request("/v1/health/version").respond_with_json({"version": "1.9.6"})
    httpserver.expect_request(logs, method="POST").respond_with_json({"rows": [row]}, 201)
    httpserver.expect_request(f"{logs}/{capabilities.CANARY}", method="PATCH").respond_with_json(row)
    httpserver.expect_request(f"{logs}/{capabilities.CANARY}", method="DELETE").respond_with_data("", 204)
    return httpserver
