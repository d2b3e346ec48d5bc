"""`python -m bench [NAME…]`: the benches, one after another, each a process in a home of its own.

A line of JSON for every figure. Exit code 1 where a bar was not cleared or a bench failed, 2 for an unknown name, or
for servers that a bench cannot use.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from bench.catalog import BENCHES, BY_NAME, Bench
from bench.figures import Bar, Figure
from bench.processes import kill_leftovers
from bench.stacks import StackUnavailable, stack
from tests.processes import ROOT, environment, free_ports

KNOBS = ("BENCH_SECONDS", "BENCH_SMALL", "BENCH_KEEP", "BENCH_PROFILE")


def main(arguments: list[str]) -> int:
    """Runs those named, or all. A SIGTERM ends it as Ctrl-C does: with all that it started."""
    signal.signal(signal.SIGTERM, _end_once)
    options = _parse_arguments(arguments)
    if unknown := [name for name in options.names if name not in BY_NAME]:
        sys.stderr.write(f"no bench is called {', '.join(unknown)}; there are {', '.join(BY_NAME)}\n")
        return 2
    benches = [BY_NAME[name] for name in options.names] or list(BENCHES)
    servers = _read_servers(options)

    def takes_them(bench: Bench) -> bool:
        return bench.takes_servers and (bench.takes_provider or not options.provider_url)

    if servers and not all(map(takes_them, benches)):
        takers = ", ".join(bench.name for bench in BENCHES if takes_them(bench))
        sys.stderr.write(f"only {takers} can be run against servers of yours: name them\n")
        return 2
    cleared = True
    for bench in benches:
        for on in bench.stacks:
            for line in _run_on_stack(bench, on, servers):
                sys.stdout.write(line)
                sys.stdout.flush()
                cleared &= json.loads(line)["ok"] is not False
    return 0 if cleared else 1


def _end_once(number: int, _: object) -> NoReturn:
    """Ends the process by what stands in its `finally`s, which no further signal of the kind interrupts."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Runs the benches named, or all.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--endpoint", help="of an Appwrite to use instead of the stand-in; ends in /v1")
    parser.add_argument("--project", help="there; or BENCH_APPWRITE_PROJECT")
    parser.add_argument("--key", help="there; it makes the database racepoll-bench; or BENCH_APPWRITE_KEY")
    parser.add_argument("--provider-url", help="of a provider of the TAB shape, instead of the simulated one")
    options = parser.parse_args(arguments)
    if options.endpoint:  # a key in the environment is not seen in the list of processes
        options.project = options.project or os.environ.get("BENCH_APPWRITE_PROJECT")
        options.key = options.key or os.environ.get("BENCH_APPWRITE_KEY")
    if len({bool(value) for value in (options.endpoint, options.project, options.key)}) > 1:
        parser.error("--endpoint, --project and --key belong together")
    return options


def _read_servers(options: argparse.Namespace) -> dict[str, str]:
    """The variables that name the servers given in the command."""
    servers: dict[str, str] = {}
    if options.endpoint:
        servers |= {"APPWRITE_ENDPOINT": options.endpoint, "APPWRITE_PROJECT_ID": options.project}
        servers |= {"APPWRITE_API_KEY": options.key, "APPWRITE_DATABASE_ID": "racepoll-bench"}
        servers |= {"BENCH_APPWRITE_IS_REAL": "1"}
    if options.provider_url:
        servers |= {"SANDBOX_PROVIDER_URL": options.provider_url, "BENCH_PROVIDER_IS_GIVEN": "1"}
    return servers


def _run_on_stack(bench: Bench, on: str, servers: dict[str, str]) -> Iterator[str]:
    """The lines of one bench on one stack; where it could not run or failed, a line with the reason."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{bench.name}-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        try:
            with stack(on, home) as databases:
                yield from _run_process(bench, on, home, databases | servers)
        except StackUnavailable as unavailable:
            yield Figure("run", None, "", why=str(unavailable), n=0).line(bench.name, stack=on) + "\n"


def _run_process(bench: Bench, on: str, home: Path, outside: dict[str, str]) -> Iterator[str]:
    """The lines of a bench in a process of its own; `outside` are the variables that name databases and servers."""
    port = free_ports(2)
    url = f"http://127.0.0.1:{port}/affiliates/v1"
    values = {name: value for name in KNOBS if (value := os.environ.get(name))}
    values |= {"RACE_PROVIDERS": "sandbox", "SANDBOX_PROVIDER_URL": url, "LOG_LEVEL": "WARNING"}
    values |= {"POLL_TICK_SECONDS": str(bench.tick_seconds)}
    values |= {"DJANGO_SETTINGS_MODULE": "racepoll_site.settings"}
    if bench.appwrite:
        values |= {"APPWRITE_ENDPOINT": f"http://127.0.0.1:{port + 1}/v1"}
        values |= {"APPWRITE_PROJECT_ID": "sandbox", "APPWRITE_API_KEY": "sandbox"}
    var = home / "var"
    var.mkdir()
    errors = home / "errors.txt"
    with errors.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.run_one", bench.name, on],
            cwd=ROOT, env=environment(var, **{**values, **outside}), stdout=subprocess.PIPE, stderr=file,
            stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
    previous = signal.signal(signal.SIGALRM, lambda *_: process.kill())
    signal.alarm(10 * bench.seconds)
    try:
        yield from process.stdout or ()
        if process.wait():
            error = errors.read_text().strip().splitlines()[-1:]
            failed = Figure("exit_code", process.returncode, "", Bar("=", 0), details={"error": "".join(error)})
            yield failed.line(bench.name, stack=on) + "\n"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
        process.kill()
        process.wait()
        kill_leftovers(var)
        if os.environ.get("BENCH_KEEP"):
            _keep_home(home, bench, on)


def _keep_home(home: Path, bench: Bench, on: str) -> None:
    """Copies what the run left behind to the folder that BENCH_KEEP names, to look for the reason of a figure."""
    import shutil

    kept = Path(os.environ["BENCH_KEEP"]) / f"{bench.name}-{on}"
    shutil.copytree(home, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock", "pg"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
