"""That a tiny run works: a process, its own home, real HTTP, one line per figure."""

import json
import os
import signal
import subprocess
import sys

import pytest

from bench.process_tree import descendants
from tests.processes import ROOT, eventually, is_alive


def bench(*arguments: str, **values: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT, env={**os.environ, "BENCH_SMALL": "1", **values}, capture_output=True, text=True, timeout=110,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("last_five_minutes", ["polls", "longest_gap"]),
        ("tick_scaling", ["times_the_cost", "more_queries"]),
        ("appwrite_calls", ["calls_beyond_one_a_race", "reads_at_rest", "writes_at_rest"]),
        ("push_thousand", ["push_thousand", "push_thousand_delayed"]),
    ],
)
def test_a_tiny_run_prints_a_line_for_every_figure(name: str, figures: list[str]) -> None:
    done = bench(name)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["figure"] for line in lines] == figures, done.stderr
    assert all(line["small"] and line["machine"]["cores"] and line["versions"]["database"] for line in lines)
    assert "why" not in lines[0]


def test_servers_of_yours_are_for_the_benches_that_take_them() -> None:
    done = bench("push_thousand", "--provider-url", "http://127.0.0.1:1/v1")
    assert done.returncode == 2
    assert "five_races_to_appwrite" in done.stderr
    assert bench("five_races_to_appwrite", "--endpoint", "http://127.0.0.1:1/v1").returncode == 2


def test_an_unknown_bench_is_named() -> None:
    done = bench("nothing")
    assert done.returncode == 2
    assert "no bench is called nothing" in done.stderr


def test_a_bench_that_fails_is_no_success() -> None:
    done = bench("last_five_minutes", BENCH_SECONDS="soon")
    [line] = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, line["figure"], line["ok"]) == (1, "exit_code", False)
    assert "could not convert string to float" in line["details"]["error"]


def test_a_bench_that_is_terminated_again_and_again_ends_all_that_it_started() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bench", "sqlite_locks"],
        cwd=ROOT, env={**os.environ, "BENCH_SMALL": "1"}, stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        eventually("its cluster runs", lambda: len(descendants(process.pid)) > 6, seconds=300)
        started = descendants(process.pid)
        while process.poll() is None:
            process.terminate()
        assert process.returncode == 128 + signal.SIGTERM
    assert [pid for pid in started if is_alive(pid)] == []
