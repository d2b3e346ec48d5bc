"""`manage.py sandbox provider|appwrite`: the simulated outside world, each a process of its own."""

import contextlib
import signal
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandParser

from sandbox.appwrite.server import make_server as make_appwrite
from sandbox.provider.cards import CARDS
from sandbox.provider.server import make_server as make_provider


class Command(BaseCommand):
    help = "Serves the simulated racing provider or the Appwrite stand-in on 127.0.0.1."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True)
        provider = kinds.add_parser("provider", help="the TAB affiliates API")
        provider.add_argument("--seed", type=int, default=1, help="another seed is another card")
        provider.add_argument(
            "--card",
            choices=CARDS,
            default="rolling",
            help="rolling: a race every two minutes; busy: days of 750 races, 8 at most near their start at once; "
            "huge: days of 5,000",
        )
        provider.add_argument("--delay-ms", type=int, default=0, help="how long every answer takes")
        appwrite = kinds.add_parser("appwrite", help="the row API of Appwrite; project and key are `sandbox`")
        appwrite.add_argument("--server-version", choices=["1.8.1", "1.9.6"], default="1.9.6")
        appwrite.add_argument("--state", type=Path, required=True, metavar="DIR", help="where it keeps its rows")
        for kind in (provider, appwrite):
            kind.add_argument("--port", type=int, required=True, help="0 is any free port")
            kind.add_argument("--log", type=Path, metavar="FILE", help="a JSON line for every request")

    def handle(self, *args: Any, **options: Any) -> None:
        port, log = options["port"], options["log"]
        if options["kind"] == "provider":
            card, delay = options["card"], options["delay_ms"]
            server = make_provider(port, seed=options["seed"], card=card, delay_ms=delay, request_log=log)
            path = "/affiliates/v1"
        else:
            version = options["server_version"]
            server = make_appwrite(port, server_version=version, state_dir=options["state"], request_log=log)
            path = "/v1"
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job would ignore the first
            signal.signal(number, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            self.stdout.write(f"http://127.0.0.1:{server.server_address[1]}{path}")
            self.stdout.flush()
            server.serve_forever()
        server.server_close()
