"""The Appwrite stand-in in a process of its own, as slow as a real server, or any real one; and what it holds."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from django.conf import settings

from bench.appwrite_process import serve
from bench.run_options import RunOptions
from polling.appwrite import mapping, sync_state
from polling.appwrite.api.client import connect
from polling.appwrite.api.rows import MOST_ROWS, Rows, batches
from polling.appwrite.schema import provision as schema
from races.models import Race
from tests.processes import eventually

# What Appwrite 1.9.6 did on two cores, with races: the stand-in's `like_real` takes these.
REAL_SERVER = {"patch_alone_ms": 28, "patches_a_second": 52, "bulk_create_100_ms": 78, "list_ms": 10}


class Server:
    """The server that the settings name. Of a real one neither delays nor the log of requests are ours."""

    def __init__(self) -> None:
        client = connect()
        assert client is not None, "the bench has no Appwrite"
        self._client, self.is_real = client, is_real()
        parts = urlsplit(settings.APPWRITE_ENDPOINT)
        self._control = f"{parts.scheme}://{parts.netloc}/sandbox"

    def be_as_slow_as_real(self) -> None:
        """Makes the stand-in as slow as a real server on two cores."""
        self.be_fast()
        fault = {"kind": "like_real", "times": None}
        requests.post(f"{self._control}/faults", json=fault, timeout=10).raise_for_status()

    def be_fast(self) -> None:
        """Lets the stand-in answer as fast as it can."""
        requests.delete(f"{self._control}/faults", timeout=10).raise_for_status()

    def calls(self, work: Callable[[], object]) -> list[str]:
        """The methods of the requests that some work made."""
        requests.delete(f"{self._control}/requests", timeout=10).raise_for_status()
        work()
        entries = requests.get(f"{self._control}/requests", timeout=10).json()["requests"]
        return [entry["method"] for entry in entries]

    def empty(self) -> None:
        """Removes all races, in hundreds: the database is the bench's own, and an earlier run may have left some."""
        rows = Rows(self._client, sync_state.TABLE, deadline=time.monotonic() + 120)
        while found := rows.page_by_id("", ["name"]):
            for some in batches([row["$id"] for row in found], MOST_ROWS):
                rows.delete_many(some)

    def versions(self, races: Sequence[Race]) -> dict[int, int]:
        """By race, the version that its row shows to a reader."""
        row_ids = {mapping.race_row_id(race): race.pk for race in races}
        rows = Rows(self._client, sync_state.TABLE, deadline=time.monotonic() + 20).by_id(row_ids)
        return {row_ids[row_id]: row["sync_version"] for row_id, row in rows.items()}


def is_real() -> bool:
    """Whether the command names an Appwrite to use."""
    return bool(os.environ.get("BENCH_APPWRITE_IS_REAL"))


@contextmanager
def appwrite(options: RunOptions) -> Iterator[Server]:
    """A server with our tables; the stand-in is as slow as a real one, until `be_fast`."""
    if is_real():
        yield _prepare_server()
        return
    home = options.var / "appwrite"
    home.mkdir()
    port = urlsplit(settings.APPWRITE_ENDPOINT).port
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port, home), daemon=True)
    process.start()
    try:
        eventually("Appwrite serves", _does_answer)
        server = _prepare_server()
        server.be_as_slow_as_real()
        yield server
    finally:
        process.terminate()
        process.join(10)


def _prepare_server() -> Server:
    server = Server()
    schema.apply(server._client)
    return server


def _does_answer() -> bool:
    try:
        requests.get(settings.APPWRITE_ENDPOINT, timeout=5)
    except requests.ConnectionError:
        return False
    return True
