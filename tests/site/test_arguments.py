"""What commands are given: one line and exit code 2 for whatever is out of range, missing or no text."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from polling.management import arguments
from tests.processes import environment, manage

BIG = "9" * 30


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def refusal(*command: str) -> str:
    with pytest.raises(CommandError) as caught:
        call_command(*command)
    assert caught.value.returncode == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


PORT = "not a whole number from 0 to 65535"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "99999"], f"--port is '99999', {PORT}"),
        (["--port", "-1"], f"--port is '-1', {PORT}"),
        (["--port", BIG], f"--port is '{BIG}', {PORT}"),
        (["--port", "٨"], f"--port is '٨', {PORT}"),
        (["--port", ""], f"--port is '', {PORT}"),
        (["--port", "0", "--delay-ms", "-5"], "--delay-ms is '-5', not a whole number from 0 to 60000"),
        (["--port", "0", "--seed", "1e3"], "--seed is '1e3', not a whole number from 0 to 2147483647"),
        (["--port", "0", "--log", "/nowhere/log"], "/nowhere/log: No such file or directory"),
        (["--port", "0", "--log", "/"], "/: Is a directory"),
    ],
)
def test_a_simulated_provider_refuses(arguments: list[str], message: str) -> None:
    # argparse takes what begins with a dash for an option, unless it stands behind an equals sign.
    joined = [f"{name}={value}" for name, value in zip(arguments[::2], arguments[1::2], strict=True)]
    assert refusal("sandbox", "provider", *joined) == message


def test_a_port_that_is_taken_is_named(taken: int, tmp_path: Path) -> None:
    words = f"cannot listen on port {taken}: Address already in use"
    assert refusal("sandbox", "provider", f"--port={taken}") == words
    assert refusal("sandbox", "appwrite", f"--port={taken}", f"--state={tmp_path}") == words


@pytest.mark.parametrize("state", ["/proc/racepoll", "/dev/null"])
def test_a_stand_in_refuses_a_folder_that_cannot_be(state: str) -> None:
    assert refusal("sandbox", "appwrite", "--port=0", f"--state={state}").startswith(f"{state}: ")


def test_a_stand_in_refuses_a_folder_whose_database_is_none(tmp_path: Path) -> None:
    (tmp_path / "appwrite.sqlite3").write_text("no database" * 100)
    assert refusal("sandbox", "appwrite", "--port=0", f"--state={tmp_path}").startswith(f"--state {tmp_path}: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--late=9999h"], "--late is '9999h', more than 24 hours"),
        (["--late=25h"], "--late is '25h', more than 24 hours"),
        (["--late=-3m"], "--late is '-3m', not like 90s, 3m or 1h"),
        ([f"--late={BIG}s"], f"--late is '{BIG}s', not like 90s, 3m or 1h"),
        (["--late="], "--late is '', not like 90s, 3m or 1h"),
        (["--quota=1e9"], "--quota is '1e9', not a whole number"),
        (["--quota=-1"], "--quota must be at least 1"),
        (["--quota=60001"], "--quota must be at most 60000"),
        (["--date="], "--date is '', not YYYY-MM-DD"),
        (["--date=2026-02-30"], "--date is '2026-02-30', not YYYY-MM-DD"),
        (["--cadence=/nowhere"], "--cadence: /nowhere cannot be read: No such file or directory"),
        (["--cadence=/"], "--cadence: / cannot be read: Is a directory"),
        (["--cadence=/dev/zero"], "--cadence: /dev/zero is larger than 64 KB"),
    ],
)
def test_plan_day_refuses(arguments: list[str], message: str) -> None:
    assert refusal("plan_day", *arguments) == message


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ("1e9:300,0:300", "no window may open more than 2880 minutes before the start"),
        ("2881:300,0:300", "no window may open more than 2880 minutes before the start"),
        ("inf:300,0:300", "not minutes:seconds, comma-separated"),
        ("nan:300,0:300", "not minutes:seconds, comma-separated"),
        ("60:86401,0:300", "with a step above 86400 s"),
        (f"60:{BIG},0:300", "not minutes:seconds, comma-separated"),
        ("60:-300,0:300", "every step must be a multiple of the tick (15 s)"),
    ],
)
def test_windows_of_a_file_are_bounded(windows: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "windows.txt"
    file.write_text(windows)
    assert refusal("plan_day", f"--cadence={file}") == f"--cadence: {file} makes no grid: {message}"


def test_windows_of_the_environment_are_bounded_by_the_same_rule(tmp_path: Path) -> None:
    for windows, message in (
        ("1e9:300,0:300", "and POLL_TICK_SECONDS make no grid: no window may open more than 2880 minutes"),
        ("60:86415,0:300", "is '60:86415,0:300', with a step above 86400 s"),
    ):
        done = manage(environment(tmp_path, POLL_WINDOWS=windows), "check")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert done.stderr.startswith(f"POLL_WINDOWS {message}")


@pytest.mark.parametrize("provider", ["", "x" * 200, "a\nb"])
def test_an_import_of_no_provider_is_refused(provider: str) -> None:
    assert "is not configured; RACE_PROVIDERS names: " in refusal("import_schedule", f"--provider={provider}")


@pytest.mark.parametrize("age", ["0", "-1", "nan", "inf", "1e400", "a minute", "", BIG])
def test_an_age_is_a_number_of_seconds(age: str) -> None:
    assert refusal("healthcheck", f"--max-age={age}").endswith("it must be above 0 and at most a year, in seconds")


@pytest.mark.parametrize("descriptor", ["-1", "1e3", "99999", BIG])
def test_a_pool_refuses_a_pipe_that_is_none(descriptor: str) -> None:
    assert refusal("qcluster", "--pool=default", f"--keepalive={descriptor}").startswith("--keepalive ")


@pytest.mark.parametrize("proxy", ["", "*", "proxy.example", "10.0.0.0/8", "127.0.0.1:80", "a b", "127.1"])
def test_a_proxy_that_is_believed_is_one_ip_address(proxy: str) -> None:
    assert refusal("web", f"--proxy={proxy}") == f"--proxy is {proxy!r}, not an IP address"


def test_an_ip_address_is_written_as_connections_have_it() -> None:
    read = [arguments.ip_address("--proxy", text) for text in ("10.0.0.1", "2001:DB8:0::1")]
    assert read == ["10.0.0.1", "2001:db8::1"]


@pytest.mark.parametrize(
    "listen", ["", "127.0.0.1", ":8000", "127.0.0.1:0", "127.0.0.1:99999", "h:x", "a b:80", "[::1:80"]
)
def test_an_address_is_a_host_and_a_port(listen: str) -> None:
    assert refusal("web", f"--listen={listen}").startswith("--listen ")


def test_an_address_may_be_of_either_kind() -> None:
    assert arguments.host_and_port("--listen", "[::1]:8000") == ("::1", 8000)
    assert arguments.host_and_port("--listen", "racepoll.example:80") == ("racepoll.example", 80)


@pytest.mark.parametrize("command", [("pull", "--retry-dead"), ("push", "--release"), ("status", "--release")])
def test_an_option_of_another_pass_is_refused(command: tuple[str, str], settings: object) -> None:
    settings.APPWRITE_ENDPOINT = "http://127.0.0.1:9/v1"  # type: ignore[attr-defined]
    assert refusal("sync", *command).startswith(f"{command[1]} is for ")


@pytest.mark.parametrize("arguments", [["poll", "\udcff"], ["finalize", "1", "--reason", "a\udcff"], ["\udcff"]])
def test_an_argument_that_is_not_utf_8_is_refused_by_its_number(arguments: list[str], tmp_path: Path) -> None:
    done = manage(environment(tmp_path), *arguments)
    assert (done.returncode, done.stderr) == (2, f"argument {len(arguments)} is not UTF-8\n")
