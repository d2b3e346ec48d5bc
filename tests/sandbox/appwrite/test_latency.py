"""How long the stand-in takes when it is set to be as slow as a real server."""

import time
from concurrent.futures import ThreadPoolExecutor

from sandbox.appwrite.latency import real_ms
from tests.sandbox.appwrite_api import ROWS, Client


def test_calls_can_take_as_long_as_on_a_real_server(races: Client) -> None:
    races.control("POST", "faults", {"kind": "like_real", "times": None})
    started = time.monotonic()
    row = b'{"$id": "a"}'
    with ThreadPoolExecutor() as pool:
        replies = [pool.submit(Client(races.port).get, "a") for _ in range(8)]
    assert [reply.result().status_code for reply in replies] == [404] * 8
    # Two workers: eight calls of 5.5 ms take the time of four.
    assert time.monotonic() - started >= 4 * 0.0055
    times = [real_ms("GET", ROWS, b""), real_ms("PATCH", f"{ROWS}/a", b""), real_ms("POST", ROWS, row * 100)]
    assert [round(milliseconds) for milliseconds in times] == [10, 28, 78]
