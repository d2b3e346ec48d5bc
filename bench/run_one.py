"""`python -m bench.run_one NAME STACK`: one bench in this process, in a home that its environment names."""

import contextlib
import cProfile
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import django
from django.core.management import call_command

from bench.figures import Figure
from bench.run_options import RunOptions


def main(name: str, stack: str) -> None:
    """Sets Django up, makes the tables, and prints a line for every figure as it comes."""
    django.setup()
    from bench.machine import machine, versions

    call_command("migrate", verbosity=0)
    seconds = os.environ.get("BENCH_SECONDS")
    small = bool(os.environ.get("BENCH_SMALL"))
    options = RunOptions(Path(os.environ["RACEPOLL_VAR"]), stack, float(seconds) if seconds else None, small)
    around: dict[str, object] = {"stack": stack, "machine": machine(), "versions": versions()}
    around |= {"seconds": options.seconds} if seconds else {}
    around |= {"small": True} if small else {}
    run = cast(Callable[[RunOptions], Iterable[Figure]], importlib.import_module(f"bench.{name}").run)
    with _profile_into(os.environ.get("BENCH_PROFILE", "")):
        for figure in run(options):
            sys.stdout.write(figure.line(name, **around) + "\n")
            sys.stdout.flush()


@contextlib.contextmanager
def _profile_into(path: str) -> Iterator[None]:
    """Writes where this process spent its time, for pstats, if a file is named."""
    profile = cProfile.Profile()
    if path:
        profile.enable()
    try:
        yield
    finally:
        if path:
            profile.disable()
            profile.dump_stats(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
