"""`manage.py up`: everything starts from nothing, and Ctrl-C leaves nothing behind."""

import contextlib
import os
import re
import signal
import sqlite3
from pathlib import Path

import pytest
import requests

from tests.processes import environment, eventually, free_ports, manage, processes_of, start

STEPS = [
    "racepoll starts",
    "preparing the database",
    "collecting static files",
    "starting a simulated provider",
    "starting a simulated Appwrite",
    "starting the web",
    "checking the tables in Appwrite",
    "importing the card of races",
    "starting the worker",
]


@pytest.mark.timeout(180)
def test_it_starts_from_nothing_lets_staff_in_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    port = free_ports(3)
    env = environment(tmp_path, PORT=str(port))
    output = tmp_path / "up.txt"
    process = start(env, output, "up")
    try:
        found = eventually("it says where it is", lambda: _login(output.read_text()), seconds=90)
        url, username, password = found
        steps = re.findall(r"^ *\d+\.\d s  (.+)$", output.read_text(), re.MULTILINE)
        assert steps == STEPS
        assert url == f"http://127.0.0.1:{port}/admin/"
        assert _can_log_in(url, username, password)
        assert (tmp_path / "staff-login").stat().st_mode & 0o077 == 0
        assert eventually("races are polled", lambda: _polls_that_are_ok(tmp_path / "demo.sqlite3"), seconds=60)
    finally:
        process.send_signal(signal.SIGINT)
        returncode = process.wait(40)
    assert returncode == 0, output.read_text()
    assert [pid for pid in processes_of(tmp_path) if pid != os.getpid()] == []


def _polls_that_are_ok(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        [[number]] = connection.execute("SELECT COUNT(*) FROM polling_polllog WHERE state = 'ok'")
    return int(number)


def _login(output: str) -> tuple[str, str, str] | None:
    url = re.search(r"racepoll +(http\S+)", output)
    login = re.search(r"staff +(\S+) / (\S+)", output)
    return (url[1], login[1], login[2]) if url and login else None


def _can_log_in(url: str, username: str, password: str) -> bool:
    session = requests.Session()
    page = session.get(f"{url}login/", timeout=10)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token
    form = {"username": username, "password": password, "csrfmiddlewaretoken": token[1], "next": "/admin/races/race/"}
    reply = session.post(f"{url}login/", form, headers={"Referer": url}, timeout=10)
    return reply.status_code == 200 and reply.url.endswith("/admin/races/race/")


def test_simulated_races_are_refused_for_an_appwrite_elsewhere(tmp_path: Path) -> None:
    named = {"APPWRITE_ENDPOINT": "https://appwrite.example/v1", "APPWRITE_PROJECT_ID": "p", "APPWRITE_API_KEY": "k"}
    done = manage(environment(tmp_path, **named), "up")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "CommandError: RACE_PROVIDERS is not set; simulated races must not go to the Appwrite that is named"
    ]


def test_a_taken_port_is_named_in_one_line(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = manage(environment(tmp_path, PORT=str(port)), "up")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"CommandError: port {port} is taken; set PORT (the simulations take the two ports after it)"
    ]
    assert not (tmp_path / "demo-provider.env").exists()
