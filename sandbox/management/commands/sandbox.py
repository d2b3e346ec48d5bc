"""`manage.py sandbox provider|appwrite`: the simulated servers, each a process of its own."""

import contextlib
import re
import signal
import sqlite3
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from sandbox.appwrite.server import make_server as make_appwrite
from sandbox.provider.cards import CARDS
from sandbox.provider.server import make_server as make_provider


class Command(BaseCommand):
    help = "Serves the simulated racing provider or the Appwrite stand-in on 127.0.0.1."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True)
        provider = kinds.add_parser("provider", help="the TAB affiliates API")
        provider.add_argument("--seed", default="1", help="another seed is another card")
        provider.add_argument(
            "--card",
            choices=CARDS,
            default="rolling",
            help="rolling: a race every two minutes; busy: days of 750 races, 8 at most near their start at once; "
            "huge: days of 5,000",
        )
        provider.add_argument("--delay-ms", default="0", help="how long every answer takes, a minute at most")
        appwrite = kinds.add_parser("appwrite", help="the row API of Appwrite; project and key are `sandbox`")
        appwrite.add_argument("--server-version", choices=["1.8.1", "1.9.6"], default="1.9.6")
        appwrite.add_argument("--state", type=Path, required=True, metavar="DIR", help="where it keeps its rows")
        for kind in (provider, appwrite):
            kind.add_argument("--port", required=True, help="0 is any free port")
            kind.add_argument("--log", type=Path, metavar="FILE", help="one JSON line per request")

    def handle(self, *args: Any, **options: Any) -> None:
        path = "/affiliates/v1" if options["kind"] == "provider" else "/v1"
        port = _whole_number("--port", options["port"], most=65_535)
        try:
            server = _make_server(port, options)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else f"cannot listen on port {port}: "
            raise _usage_error(f"{where}{error.strerror or error}") from error
        except sqlite3.Error as error:
            raise _usage_error(f"--state {options['state']}: {error}") from error
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job would ignore the first
            signal.signal(number, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            self.stdout.write(f"http://127.0.0.1:{server.server_address[1]}{path}")
            self.stdout.flush()
            server.serve_forever()
        server.server_close()


def _make_server(port: int, options: dict[str, Any]) -> ThreadingHTTPServer:
    log = options["log"]
    if options["kind"] == "appwrite":
        state, version = options["state"], options["server_version"]
        return make_appwrite(port, server_version=version, state_dir=state, request_log=log)
    seed = _whole_number("--seed", options["seed"], most=2**31 - 1)
    delay = _whole_number("--delay-ms", options["delay_ms"], most=60_000)
    return make_provider(port, seed=seed, card=options["card"], delay_ms=delay, request_log=log)


def _whole_number(argument: str, text: str, *, most: int) -> int:
    if not re.fullmatch(r"\d{1,18}", str(text), re.ASCII) or int(text) > most:
        raise _usage_error(f"{argument} is {str(text)[:40]!r}, not a whole number from 0 to {most}")
    return int(text)


def _usage_error(words: str) -> CommandError:
    return CommandError(words, returncode=2)
