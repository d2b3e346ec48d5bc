"""`manage.py web`: the web process."""

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser
from django.core.servers.basehttp import get_internal_wsgi_application

from polling.management.arguments import argument_error, host_and_port, ip_address
from polling.web_server import make_server


class Command(BaseCommand):
    help = "Serves the admin and Appwrite's webhook until SIGTERM or Ctrl-C; open requests are answered first."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--listen", metavar="HOST:PORT", help="by default 127.0.0.1 and PORT, for a proxy on this machine"
        )
        parser.add_argument(
            "--proxy",
            metavar="ADDRESS",
            default="127.0.0.1",
            help="where DJANGO_HTTPS is true: the proxy's address, whose X-Forwarded-For and -Proto are trusted",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = "127.0.0.1", settings.PORT
        if options["listen"] is not None:
            host, port = host_and_port("--listen", options["listen"])
        proxy = ip_address("--proxy", options["proxy"])
        trusted = proxy if settings.BEHIND_PROXY else ""
        if not (settings.STATIC_ROOT / "staticfiles.json").exists():
            raise CommandError("the static files are missing: run manage.py collectstatic first")
        most_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        try:
            server = make_server(get_internal_wsgi_application(), host, port, proxy=trusted, most_bytes=most_bytes)
        except (OSError, ValueError) as error:  # the latter for a host that is none
            words = getattr(error, "strerror", None) or "no such address on this machine"
            raise argument_error(f"cannot listen on {host}:{port}: {words}") from error
        server.stop_on_signals()
        if options["verbosity"]:
            self.stdout.write(f"http://{host}:{port}/")
            self.stdout.flush()
        server.run()
