"""Faults, the request log, restarts and connections of the stand-in."""

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.sandbox.appwrite_api import ROWS, Client, running, wait_until

ROOT = Path(__file__).resolve().parents[3]
SERVE = (
    "import sys; from pathlib import Path; from sandbox.appwrite.server import make_server\n"
    "server = make_server(0, server_version='1.9.6', state_dir=Path(sys.argv[1]))\n"
    "sys.stdout.write(f'{server.server_port}\\n'); sys.stdout.flush(); server.serve_forever()"
)


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "requests.jsonl"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, log_file: Path) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("appwrite"), request_log=log_file) as client:
        client.provision()
        yield client


def requested(client: Client) -> list[tuple[str, str, int | None, str | None]]:
    entries = client.control("GET", "requests").json()["requests"]
    return [(entry["method"], entry["path"], entry["status"], entry["fault"]) for entry in entries]


def test_a_status_fault_is_for_the_given_number_of_requests(races: Client) -> None:
    fault = {"kind": "status", "status": 429, "times": 2, "method": "POST", "retry_after": 3}
    assert races.control("POST", "faults", fault).status_code == 201
    assert races.listed()["total"] == 0
    refused = [races.create("a", name="A") for _ in range(2)]
    assert [reply.status_code for reply in refused] == [429, 429]
    assert refused[0].json()["type"] == "general_rate_limit_exceeded"
    assert refused[0].headers["Retry-After"] == "3"
    assert races.create("a", name="A").status_code == 201


def test_a_fault_is_only_for_the_path_that_it_names(races: Client) -> None:
    races.control("POST", "faults", {"kind": "status", "status": 500, "path_contains": "/rows/b"})
    assert races.get("a").status_code == 404
    assert races.get("b").status_code == 500


def test_an_html_fault_is_a_page_instead_of_an_answer(races: Client) -> None:
    races.control("POST", "faults", {"kind": "html"})
    reply = races.create("a", name="A")
    assert (reply.status_code, reply.headers["Content-Type"]) == (502, "text/html; charset=UTF-8")
    assert races.ids() == []


def test_a_followed_redirect_turns_a_create_into_a_false_success(races: Client) -> None:
    races.control("POST", "faults", {"kind": "redirect"})
    reply = races.call("POST", ROWS, {"rowId": "a", "data": {"name": "A"}}, allow_redirects=True)
    assert (reply.status_code, reply.json()) == (200, {"total": 0, "rows": []})


def test_a_dropped_request_is_not_carried_out(races: Client) -> None:
    races.control("POST", "faults", {"kind": "drop", "method": "POST"})
    with pytest.raises(requests.ConnectionError):
        races.create("a", name="A")
    assert races.ids() == []
    assert ("POST", f"/v1{ROWS}", None, "drop") in requested(races)


def test_a_request_dropped_after_the_commit_was_carried_out(races: Client) -> None:
    races.control("POST", "faults", {"kind": "drop_after_commit", "method": "POST"})
    with pytest.raises(requests.ConnectionError):
        races.create("a", name="A")
    assert races.ids() == ["a"]
    assert ("POST", f"/v1{ROWS}", 201, "drop_after_commit") in requested(races)


@pytest.mark.parametrize("fault", [{"kind": "meteor"}, {"kind": "drop", "colour": "red"}, ["drop"], {}])
def test_an_unknown_fault_is_refused(races: Client, fault: object) -> None:
    assert races.control("POST", "faults", fault).status_code == 400
    assert races.get("a").json()["type"] == "row_not_found"


def test_the_request_log_counts_api_calls_only(races: Client, log_file: Path) -> None:
    races.create("a", name="A")
    races.get("missing")
    expected = [("POST", f"/v1{ROWS}", 201, None), ("GET", f"/v1{ROWS}/missing", 404, None)]
    assert requested(races) == expected
    lines = [json.loads(line) for line in log_file.read_text(encoding="utf-8").splitlines()]
    assert [(line["method"], line["path"], line["status"], line["fault"]) for line in lines[-2:]] == expected
    assert all(line["duration_ms"] >= 0 and line["at"].endswith("+00:00") for line in lines)
    races.control("DELETE", "requests")
    assert requested(races) == []


def test_one_connection_serves_many_requests(races: Client) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", races.port, timeout=120)
    sockets = set()
    for _ in range(3):
        connection.request("GET", "/v1/health/version", headers={"X-Appwrite-Project": "sandbox"})
        reply = connection.getresponse()
        assert (reply.status, json.loads(reply.read())) == (200, {"version": "1.9.6"})
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1


def test_a_body_over_twelve_mebibytes_is_refused_without_a_body(races: Client) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", races.port, timeout=120)
    connection.putrequest("POST", f"/v1{ROWS}")
    connection.putheader("Content-Length", str(12 * 2**20 + 1))
    connection.endheaders()
    reply = connection.getresponse()
    assert (reply.status, reply.read()) == (413, b"")
    connection.close()


def test_a_long_reply_is_compressed_for_a_client_that_asks(races: Client) -> None:
    races.create_many(*[{"$id": f"race-{n}", "name": "One"} for n in range(20)])
    packed = races.call("GET", ROWS, headers={"Accept-Encoding": "gzip"})
    plain = races.call("GET", ROWS, headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()


def test_an_address_outside_the_api_is_unknown(races: Client) -> None:
    assert races.session.get(f"{races.root}/tablesdb", timeout=120).status_code == 404
    assert races.control("GET", "nothing").status_code == 404


def test_the_state_survives_a_restart_and_kept_connections_do_not(tmp_path: Path) -> None:
    with running(tmp_path) as before:
        before.provision()
        made = before.create("a", name="A").json()
    with pytest.raises(requests.ConnectionError):
        before.get("a")
    with running(tmp_path) as after:
        assert after.get("a").json() == made


def test_every_answered_write_survives_kill_9(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    client = Client(int(process.stdout.readline()))
    client.provision()
    answered: list[str] = []
    writer = threading.Thread(target=write_until_the_end, args=(client, answered))
    writer.start()
    wait_until(lambda: len(answered) >= 20)
    process.kill()
    process.wait()
    process.stdout.close()
    writer.join()
    with running(tmp_path) as after:
        stored = after.ids()
    assert set(answered) <= set(stored)
    assert len(stored) - len(answered) in (0, 1)


def write_until_the_end(client: Client, answered: list[str]) -> None:
    try:
        for number in range(100_000):
            client.create(f"race-{number}", name="One").raise_for_status()
            answered.append(f"race-{number}")
    except requests.ConnectionError:
        return
