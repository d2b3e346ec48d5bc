"""The Appwrite stand-in on a free port, with a small client for it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from sandbox.appwrite.server import make_server

TABLE = "/tablesdb/main/tables/races"
ROWS = f"{TABLE}/rows"
COLUMNS: list[tuple[str, dict[str, Any]]] = [
    ("string", {"key": "name", "size": 64, "required": True}),
    ("enum", {"key": "status", "elements": ["open", "closed"], "default": "open"}),
    ("integer", {"key": "runners", "min": 0, "max": 40}),
    ("float", {"key": "distance"}),
    ("datetime", {"key": "off_time"}),
    ("boolean", {"key": "active"}),
    ("string", {"key": "tags", "size": 16, "array": True}),
]


class Client:
    """Calls the API as the key with all scopes, over one kept connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.root = f"http://127.0.0.1:{port}"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"X-Appwrite-Project": "sandbox", "X-Appwrite-Key": "sandbox"})

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        options.setdefault("allow_redirects", False)
        return self.session.request(method, f"{self.root}/v1{path}", json=body, timeout=120, **options)

    def control(self, method: str, name: str, body: Any = None) -> requests.Response:
        return self.session.request(method, f"{self.root}/sandbox/{name}", json=body, timeout=120)

    def create(self, row_id: str, **values: Any) -> requests.Response:
        return self.call("POST", ROWS, {"rowId": row_id, "data": values})

    def create_many(self, *rows: dict[str, Any]) -> requests.Response:
        return self.call("POST", ROWS, {"rows": list(rows)})

    def patch(self, row_id: str, base: str | None = None, **values: Any) -> requests.Response:
        return self.call("PATCH", f"{ROWS}/{row_id}", {"data": values}, headers=based_on(base))

    def get(self, row_id: str) -> requests.Response:
        return self.call("GET", f"{ROWS}/{row_id}")

    def listed(self, *queries: str) -> dict[str, Any]:
        params = {f"queries[{number}]": text for number, text in enumerate(queries)}
        reply = self.call("GET", ROWS, params=params)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def ids(self, *queries: str) -> list[str]:
        return [row["$id"] for row in self.listed(*queries, query("limit", values=[500]))["rows"]]

    def provision(self) -> None:
        """The table `races` with its columns, all of them available."""
        self.call("POST", "/tablesdb", {"databaseId": "main", "name": "Main"})
        self.call("POST", "/tablesdb/main/tables", {"tableId": "races", "name": "Races"})
        for kind, options in COLUMNS:
            made = self.call("POST", f"{TABLE}/columns/{kind}", {"required": False, **options})
            assert (made.status_code, made.json()["status"]) == (202, "processing"), made.text
        wait_until(lambda: self.is_settled("columns"))

    def is_settled(self, kind: str, table: str = TABLE) -> bool:
        """Whether no column, or index, of the table is being made any more."""
        listed = self.call("GET", f"{table}/{kind}").json()[kind]
        return all(item["status"] != "processing" for item in listed)

    def empty(self) -> None:
        """No rows, no faults, no webhooks, an empty request log."""
        self.control("DELETE", "faults")
        self.control("DELETE", "webhooks")
        self.call("DELETE", ROWS, {})
        self.control("DELETE", "requests")


def based_on(base: str | None) -> dict[str, str]:
    return {} if base is None else {"X-Appwrite-Timestamp": base}


def query(method: str, attribute: str | None = None, values: list[Any] | None = None) -> str:
    parts = {"method": method, "attribute": attribute, "values": values}
    return json.dumps({name: part for name, part in parts.items() if part is not None})


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


@contextmanager
def running(state_dir: Path, version: str = "1.9.6", request_log: Path | None = None) -> Iterator[Client]:
    server = make_server(0, server_version=version, state_dir=state_dir, request_log=request_log)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Client(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
