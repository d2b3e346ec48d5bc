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
from polling.files import UnreadableFile, read_text, write_private
from polling.management.arguments import argument_error
from polling.worker.dev_processes import DevProcesses
from polling.worker.instance_lock import take_instance_lock

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
            self._print_step("racepoll starts")
        lock = take_instance_lock(settings.VAR, report=self._print_step)
        if not settings.SIMULATED:
            _restart_with_simulations()
        self._print_step("preparing the database")
        call_command("migrate", verbosity=0)
        self._collect_static_files()
        processes = DevProcesses(kept_open=[lock])
        with processes.stopped_by_signals():
            self._start_simulations(processes)
            self._print_step("starting the web")
            processes.start("web", "web", "--listen", f"127.0.0.1:{settings.PORT}", "-v0")
            # Before Appwrite, which switches a webhook off that nobody answers.
            _wait_for(f"http://127.0.0.1:{settings.PORT}/admin/login/", processes)
            self._print_step("checking the tables in Appwrite")
            self._prepare_appwrite()
            self._print_step("importing the card of races")
            importing.import_all(now=clock.now())
            self._print_step("starting the worker")
            processes.start("worker", "qcluster")
            self._print_welcome(*_staff_login())
            ended = processes.wait()
        if ended:
            raise CommandError(f"{ended.name} ended with exit code {ended.process.returncode}; all is stopped")
        self.stdout.write("all is stopped")

    def _print_step(self, step: str) -> None:
        """Prints what is being done now, and the seconds since the start."""
        self.stdout.write(f"{time.monotonic() - self._began:5.1f} s  {step}")
        self.stdout.flush()

    def _collect_static_files(self) -> None:
        """Collects them; where they cannot be written, as on a full disk, races are polled all the same."""
        self._print_step("collecting static files")
        try:
            call_command("collectstatic", interactive=False, verbosity=0)
        except OSError as error:
            self.stderr.write(f"the static files of the pages cannot be written, so pages may fail: {error}")

    def _start_simulations(self, processes: DevProcesses) -> None:
        logs = settings.VAR / "sandbox"
        if NOTHING not in settings.SIMULATED:
            logs.mkdir(exist_ok=True)
        if "provider" in settings.SIMULATED:
            self._print_step("starting a simulated provider")
            url, log = settings.SANDBOX_PROVIDER_URL, str(logs / "provider.log")
            processes.start("provider", "sandbox", "provider", "--port", _port_of(url), "--log", log)
            _wait_for(f"{url}/racing/meetings?limit=1", processes)
        if "appwrite" in settings.SIMULATED:
            self._print_step("starting a simulated Appwrite")
            url, state = settings.APPWRITE_ENDPOINT, str(logs / "appwrite")
            processes.start("appwrite", "sandbox", "appwrite", "--port", _port_of(url), "--state", state)
            _wait_for(f"{url}/health/version", processes)

    def _prepare_appwrite(self) -> None:
        """Creates the tables in the stand-in; of a real Appwrite it only prints what is missing."""
        if "appwrite" in settings.SIMULATED:
            call_command("appwrite_schema", "apply", verbosity=0)
            return
        try:
            call_command("appwrite_schema", "plan")
        except CommandError as error:
            self.stderr.write(f"{error}\nWhen you agree with the plan: manage.py appwrite_schema apply")

    def _print_welcome(self, username: str, password: str) -> None:
        self.stdout.write(f"\n  racepoll   http://127.0.0.1:{settings.PORT}/admin/")
        self.stdout.write(f"  staff      {username} / {password}   (kept in {LOGIN_FILE})")
        if simulated := [name for name in settings.SIMULATED if name != NOTHING]:
            self.stdout.write(f"  simulated  {' and '.join(simulated)}; name the real ones in .env")
        self.stdout.write("  Ctrl-C ends it\n")
        self.stdout.flush()


def _restart_with_simulations() -> None:
    """Replaces this process by one whose environment names the simulations, and writes files for other commands."""
    provider = {} if settings.PROVIDER_IS_NAMED else _simulated_provider()
    appwrite = {} if settings.APPWRITE_IS_NAMED else _simulated_appwrite()
    is_local = urlsplit(settings.APPWRITE_ENDPOINT).hostname in ("127.0.0.1", "localhost", "::1")
    if provider and not appwrite and not is_local:
        raise argument_error("RACE_PROVIDERS is not set; simulated races must not go to the Appwrite that is named")
    _require_free_ports(
        [settings.PORT, *([settings.PORT + 1] if provider else []), *([settings.PORT + 2] if appwrite else [])]
    )
    write_private(settings.DEMO_PROVIDER_FILE, _env_file_of(provider))
    write_private(settings.DEMO_APPWRITE_FILE, _env_file_of(appwrite))
    simulated = [name for name, values in (("provider", provider), ("appwrite", appwrite)) if values] or [NOTHING]
    own = {name: value for name, value in os.environ.items() if name not in settings.DEMO_NAMES}
    environment = {**own, **provider, **appwrite, "RACEPOLL_SIMULATED": ",".join(simulated)}
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)  # noqa: S606 - ourselves again


def _simulated_provider() -> dict[str, str]:
    """Its settings, with a database of its own if none is named: simulated races must not mix with real ones."""
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


def _env_file_of(values: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _port_of(url: str) -> str:
    return str(urlsplit(url).port or 0)


def _require_free_ports(ports: list[int]) -> None:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except PermissionError:
                raise argument_error(f"port {port} is for root alone; set PORT to 1024 or more") from None
            except OSError:
                raise argument_error(
                    f"port {port} is taken; set PORT (the simulations take the two ports after it)"
                ) from None


def _wait_for(url: str, processes: DevProcesses) -> None:
    """Waits until the URL answers. Raises CommandError if a process dies or nothing answers in time."""
    parts = urlsplit(url)
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline and not processes.stopping:
        if dead := processes.first_dead():
            raise CommandError(f"{dead.name} ended with exit code {dead.process.returncode} while starting")
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
            connection.request("GET", f"{parts.path}?{parts.query}")
            connection.getresponse().read()
            connection.close()
            return
        time.sleep(0.05)
    if not processes.stopping:
        raise CommandError(f"nothing answered at {url} in {STARTING_SECONDS} s")


def _staff_login() -> tuple[str, str]:
    """Name and password of a superuser, created at the first start; the password is stored in `var/`."""
    username = "staff"
    user = User.objects.filter(username=username).first()
    known = _stored_password()
    if user and known and user.check_password(known):
        return username, known
    password = secrets.token_urlsafe(12)
    try:
        write_private(LOGIN_FILE, f"{username} / {password}\n")
    except OSError as error:  # then it is shown once, and another is made at the next start
        sys.stderr.write(f"the staff's login cannot be stored: {error}\n")
    user = user or User(username=username)
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
    return username, password


def _stored_password() -> str:
    """The password of an earlier start; empty where there is none to be read."""
    try:
        return read_text(LOGIN_FILE).partition(" / ")[2].strip()
    except UnreadableFile:
        return ""
