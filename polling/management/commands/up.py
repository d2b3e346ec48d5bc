"""`manage.py up`: the whole of racepoll on one machine; what `make run` calls."""

import contextlib
import http.client
import os
import secrets
import socket
import sys
import time
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import BaseCommand, CommandError, call_command
from django.utils.crypto import salted_hmac

from polling import clock, importing
from polling.files import Unusable, read_text, write_private
from polling.management.arguments import refusal
from polling.worker.dev_processes import Family
from polling.worker.instance_lock import only_one_in

STARTING_SECONDS = 30
NOTHING = "nothing"
LOGIN_FILE = settings.VAR / "staff-login"


class Command(BaseCommand):
    help = (
        "Sets up the database and runs web, worker and, where no real provider or Appwrite is named in the "
        "environment, their simulations. Ctrl-C ends all of it."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self._began = time.monotonic()
        if not settings.SIMULATED:
            self._say("racepoll starts")
        lock = only_one_in(settings.VAR, say=self._say)
        if not settings.SIMULATED:
            _start_anew_with_what_is_simulated()
        self._say("preparing the database")
        call_command("migrate", verbosity=0)
        self._collect_static_files()
        family = Family(kept_open=[lock])
        with family.stopped_by_signals():
            self._start_simulations(family)
            self._say("starting the web")
            family.start("web", "web", "--listen", f"127.0.0.1:{settings.PORT}", "-v0")
            # First, since Appwrite switches a webhook off that nobody answers.
            _wait_for(f"http://127.0.0.1:{settings.PORT}/admin/login/", family)
            self._say("looking at the tables in Appwrite")
            self._prepare_appwrite()
            self._say("importing the card of races")
            importing.import_all(now=clock.now())
            self._say("starting the worker")
            family.start("worker", "qcluster")
            self._welcome(*_staff_login())
            dead = family.wait()
        if dead:
            raise CommandError(f"{dead.name} ended with exit code {dead.process.returncode}; all is stopped")
        self.stdout.write("all is stopped")

    def _say(self, step: str) -> None:
        """Prints what is being done now, and how long all of it took so far."""
        self.stdout.write(f"{time.monotonic() - self._began:5.1f} s  {step}")
        self.stdout.flush()

    def _collect_static_files(self) -> None:
        """Where they cannot be written, as on a full disk, races are polled all the same."""
        self._say("collecting static files")
        try:
            call_command("collectstatic", interactive=False, verbosity=0)
        except OSError as error:
            self.stderr.write(f"the static files of the pages cannot be written, so pages may fail: {error}")

    def _start_simulations(self, family: Family) -> None:
        logs = settings.VAR / "sandbox"
        if NOTHING not in settings.SIMULATED:
            logs.mkdir(exist_ok=True)
        if "provider" in settings.SIMULATED:
            self._say("starting a simulated provider")
            url, log = settings.SANDBOX_PROVIDER_URL, str(logs / "provider.log")
            family.start("provider", "sandbox", "provider", "--port", _port_of(url), "--log", log)
            _wait_for(f"{url}/racing/meetings?limit=1", family)
        if "appwrite" in settings.SIMULATED:
            self._say("starting a simulated Appwrite")
            url, state = settings.APPWRITE_ENDPOINT, str(logs / "appwrite")
            family.start("appwrite", "sandbox", "appwrite", "--port", _port_of(url), "--state", state)
            _wait_for(f"{url}/health/version", family)

    def _prepare_appwrite(self) -> None:
        """Makes the tables in the stand-in; of a real Appwrite it only says what is wanting."""
        if "appwrite" in settings.SIMULATED:
            call_command("appwrite_schema", "apply", verbosity=0)
            return
        try:
            call_command("appwrite_schema", "plan")
        except CommandError as error:
            self.stderr.write(f"{error}\nWhen you agree with the plan: manage.py appwrite_schema apply")

    def _welcome(self, username: str, password: str) -> None:
        self.stdout.write(f"\n  racepoll   http://127.0.0.1:{settings.PORT}/admin/")
        self.stdout.write(f"  staff      {username} / {password}   (kept in {LOGIN_FILE})")
        if simulated := [name for name in settings.SIMULATED if name != NOTHING]:
            self.stdout.write(f"  simulated  {' and '.join(simulated)}; name the real ones in .env")
        self.stdout.write("  Ctrl-C ends it\n")
        self.stdout.flush()


def _start_anew_with_what_is_simulated() -> None:
    """Replaces this process by one whose environment names the simulations, and leaves a note for other commands."""
    provider = {} if settings.PROVIDER_IS_NAMED else _simulated_provider()
    appwrite = {} if settings.APPWRITE_IS_NAMED else _simulated_appwrite()
    if provider and not appwrite and not _is_local(settings.APPWRITE_ENDPOINT):
        message = "RACE_PROVIDERS is not set; simulated races must not go to the Appwrite that is named"
        raise refusal(message)
    _need_free_ports(
        [settings.PORT, *([settings.PORT + 1] if provider else []), *([settings.PORT + 2] if appwrite else [])]
    )
    write_private(settings.DEMO_PROVIDER_FILE, _as_file(provider))
    write_private(settings.DEMO_APPWRITE_FILE, _as_file(appwrite))
    simulated = [name for name, values in (("provider", provider), ("appwrite", appwrite)) if values] or [NOTHING]
    own = {name: value for name, value in os.environ.items() if name not in settings.DEMO_NAMES}
    environment = {**own, **provider, **appwrite, "RACEPOLL_SIMULATED": ",".join(simulated)}
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)  # noqa: S606 - ourselves again


def _simulated_provider() -> dict[str, str]:
    """With a database of its own, if none is named: simulated races must not follow us to a real provider."""
    values = {
        "RACE_PROVIDERS": "sandbox",
        "SANDBOX_PROVIDER_URL": f"http://127.0.0.1:{settings.PORT + 1}/affiliates/v1",
    }
    if not settings.DATABASE_IS_NAMED:
        values["DATABASE_URL"] = f"sqlite:///{quote(str(settings.VAR / 'demo.sqlite3'))}"
    return values


def _simulated_appwrite() -> dict[str, str]:
    endpoint = f"http://127.0.0.1:{settings.PORT + 2}/v1"
    key = {"APPWRITE_PROJECT_ID": "sandbox", "APPWRITE_API_KEY": "sandbox"}
    hook = {
        "APPWRITE_WEBHOOK_URL": f"http://127.0.0.1:{settings.PORT}/hooks/appwrite/",
        # The same at every start, since the stand-in keeps it.
        "APPWRITE_WEBHOOK_SECRET": salted_hmac("racepoll.webhook", "simulated").hexdigest(),
    }
    return {"APPWRITE_ENDPOINT": endpoint, **key, "APPWRITE_POLL_LOGS": "all", **hook}


def _as_file(values: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _port_of(url: str) -> str:
    return str(urlsplit(url).port or 0)


def _need_free_ports(ports: list[int]) -> None:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except PermissionError:
                raise refusal(f"port {port} is for root alone; set PORT to 1024 or more") from None
            except OSError:
                raise refusal(f"port {port} is taken; set PORT (the simulations take the two ports after it)") from None


def _wait_for(url: str, family: Family) -> None:
    """Until the URL answers. Raises CommandError if its process dies or nothing answers in time."""
    parts = urlsplit(url)
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline and not family.stopping:
        if dead := family.dead():
            raise CommandError(f"{dead.name} ended with exit code {dead.process.returncode} while starting")
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
            connection.request("GET", f"{parts.path}?{parts.query}")
            connection.getresponse().read()
            connection.close()
            return
        time.sleep(0.05)
    if not family.stopping:
        raise CommandError(f"nothing answered at {url} in {STARTING_SECONDS} s")


def _staff_login() -> tuple[str, str]:
    """A superuser for this machine, made once; its password lies in the ignored `var/`, for its owner's eyes."""
    username = "staff"
    user = User.objects.filter(username=username).first()
    known = _kept_password()
    if user and known and user.check_password(known):
        return username, known
    password = secrets.token_urlsafe(12)
    try:
        write_private(LOGIN_FILE, f"{username} / {password}\n")
    except OSError as error:  # then it is shown once, and made again at the next start
        sys.stderr.write(f"the login of the staff cannot be kept: {error}\n")
    user = user or User(username=username)
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
    return username, password


def _kept_password() -> str:
    """The password of an earlier start; empty where there is none to be read."""
    try:
        return read_text(LOGIN_FILE).partition(" / ")[2].strip()
    except Unusable:
        return ""
