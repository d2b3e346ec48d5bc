"""Files that the environment names, and `.env`: read to the end, or refused without showing what is in them."""

from pathlib import Path

import pytest

from tests.processes import environment, manage, setting_in

TAB = (
    b"RACE_PROVIDERS=tab_affiliates\nTAB_AFFILIATES_CONTACT_EMAIL=ops@example.com\n"
    b"TAB_AFFILIATES_PARTNER=Example\nTAB_AFFILIATES_PARTNER_ID=example\n"
)
BOM = b"\xef\xbb\xbf"


def refused(done: object, *starts: str) -> None:
    """Exit code 2, one line for each start, nothing secret and no traceback."""
    returncode, stdout, stderr = done.returncode, done.stdout, done.stderr  # type: ignore[attr-defined]
    assert (returncode, stdout) == (2, "")
    lines = stderr.splitlines()
    assert len(lines) == len(starts), stderr
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True)), stderr
    assert "s3cret" not in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(BOM + TAB + b"PORT=8123\n", id="a byte order mark"),
        pytest.param(b"export " + TAB.replace(b"\n", b"\nexport ", 3) + b"export  PORT='8123'\n", id="export"),
        pytest.param(
            b"# of the desk\n\n  " + TAB.replace(b"\n", b"\r\n") + b'   \nPORT="8123"\r\n', id="other line ends"
        ),
    ],
)
def test_no_variable_of_the_file_is_lost(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "desk.env"
    file.write_bytes(content)
    env = environment(tmp_path / "var", RACEPOLL_ENV_FILE=str(file))
    values = "settings.RACE_PROVIDERS, settings.PORT, settings.RACE_DETAIL"
    assert setting_in(env, values) == "('tab_affiliates',) 8123 until_start"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"PORT=8123\nAPPWRITE_API_KEY s3cret\n", ", line 2: not NAME=value", id="no equals sign"),
        pytest.param(b"APPWRITE_API_KEY: s3cret\n", ", line 1: not NAME=value", id="a colon"),
        pytest.param(b"export s3cret\n", ", line 1: not NAME=value", id="an export of nothing"),
        pytest.param(b'\n\nAPPWRITE_API_KEY="s3cret\n', ", line 3: not NAME=value", id="an open quote"),
        pytest.param(b"APPWRITE_API_KEY=s3cret\0\n", ", line 1: not NAME=value", id="a NUL"),
        pytest.param(b"PORT=1\nX=s3cret\xff\n", " is not UTF-8 (line 2)", id="no UTF-8"),
        pytest.param(TAB.decode().encode("utf-16"), " is not UTF-8 (line 1)", id="UTF-16"),
        pytest.param(b"X=s3cret\n" * 10_000, " is larger than 64 KB", id="endless"),
    ],
)
def test_a_broken_file_is_refused_by_its_line(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "desk.env"
    file.write_bytes(content)
    refused(manage(environment(tmp_path / "var", RACEPOLL_ENV_FILE=str(file)), "check"), f"{file}{message}")


def test_a_folder_is_no_environment_file(tmp_path: Path) -> None:
    done = manage(environment(tmp_path / "var", RACEPOLL_ENV_FILE=str(tmp_path)), "check")
    refused(done, f"{tmp_path} cannot be read: Is a directory")


def test_names_that_nobody_reads_are_refused_in_the_file(tmp_path: Path) -> None:
    wrong = {
        "RACE_PROVIDER=tab_affiliates": "RACE_PROVIDER is no variable of racepoll; do you mean RACE_PROVIDERS?",
        "APPWRITE_ENDPONT=s3cret": "APPWRITE_ENDPONT is no variable of racepoll; do you mean APPWRITE_ENDPOINT?",
        "POLL_SPEED=9": "POLL_SPEED is no variable of racepoll; see .env.example",
        "DJANGO_SECRETKEY=s3cret": "DJANGO_SECRETKEY is no variable of racepoll; do you mean DJANGO_SECRET_KEY?",
        "DATABSE_URL=s3cret": "DATABSE_URL is no variable of racepoll; do you mean DATABASE_URL?",
        "race_providers=tab_affiliates": "race_providers is no variable of racepoll; do you mean RACE_PROVIDERS?",
        "SANDBOX_URL=s3cret": "SANDBOX_URL is no variable of racepoll; see .env.example",
        "PROT=8123": "PROT is no variable of racepoll; do you mean PORT?",
        "DJANGO_SETTINGS_MODULE=s3cret": "DJANGO_SETTINGS_MODULE is no variable of racepoll; see .env.example",
    }
    file = tmp_path / "desk.env"
    file.write_text("".join(f"{line}\n" for line in wrong) + "RACEPOLL_VAR=/srv/s3cret\n")
    refused(
        manage(environment(tmp_path / "var", RACEPOLL_ENV_FILE=str(file)), "check"),
        f"{file}, line {len(wrong) + 1}: RACEPOLL_VAR counts only in the process's own environment",
        *(f"{file}, line {number}: {message}" for number, message in enumerate(wrong.values(), start=1)),
    )


def test_names_of_others_may_stand_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "desk.env"
    file.write_text("https_proxy=http://127.0.0.1:9\nTZ=UTC\nDJANGO_SUPERUSER_PASSWORD=x\nAPPWRITE_API_KEY_FILE=\n")
    env = environment(tmp_path / "var", RACEPOLL_ENV_FILE=str(file))
    assert setting_in(env, "repr(settings.APPWRITE_API_KEY)") == "''"


def test_a_name_meant_for_us_is_refused_in_the_process_too(tmp_path: Path) -> None:
    env = environment(
        tmp_path, RACE_PROVIDER="tab_affiliates", DJANGO_DEBU="true", POLL_X_FILE="/x", MONITOR_PING_URI="x"
    )
    refused(
        manage(env, "check"),
        "RACE_PROVIDER is no variable of racepoll; do you mean RACE_PROVIDERS?",
        "DJANGO_DEBU is no variable of racepoll; do you mean DJANGO_DEBUG?",
        "POLL_X_FILE is no variable of racepoll; see .env.example",
        "MONITOR_PING_URI is no variable of racepoll; do you mean MONITOR_PING_URL?",
    )


def test_what_a_platform_or_django_itself_sets_is_let_be(tmp_path: Path) -> None:
    theirs = {
        "DJANGO_SETTINGS_MODULE": "racepoll_site.settings",
        "DJANGO_SUPERUSER_USERNAME": "x",
        "DJANGO_COLORS": "light",
        "RACEPOLL_SERVICE_HOST": "10.0.0.1",
        "RACEPOLL_PORT_8000_TCP_ADDR": "10.0.0.1",
        "APPWRITE_FUNCTION_ID": "x",
        "REDIS_HOST": "x",
        "DATABASE_URI": "x",
    }
    done = manage(environment(tmp_path, **theirs), "check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "cannot be read: No such file or directory", id="missing"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"s3cret\xff", "is not UTF-8 (line 1)", id="no UTF-8"),
        pytest.param(b"x" * 70_000, "is larger than 64 KB", id="endless"),
    ],
)
def test_a_file_of_a_secret_that_cannot_be_used_is_one_line(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    env = environment(tmp_path / "var", APPWRITE_API_KEY_FILE=str(file), DJANGO_SECRET_KEY_FILE=str(tmp_path))
    refused(
        manage(env, "check"),
        f"APPWRITE_API_KEY_FILE: {file} {message}",
        f"DJANGO_SECRET_KEY_FILE: {tmp_path} cannot be read: Is a directory",
    )


def test_a_secret_that_stands_where_its_file_should_be_named_is_not_shown(tmp_path: Path) -> None:
    done = manage(environment(tmp_path, APPWRITE_API_KEY_FILE="standard_s3cret"), "check")
    refused(done, "APPWRITE_API_KEY_FILE: the file cannot be read: No such file or directory")


def test_the_line_end_of_a_secret_s_file_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("$of-a-file-" * 5 + "\n")
    env = environment(tmp_path, DJANGO_SECRET_KEY_FILE=str(tmp_path / "key"))
    assert setting_in(env, "settings.SECRET_KEY") == "$of-a-file-" * 5


def test_a_dollar_sign_names_another_variable_or_is_written_with_a_backslash(tmp_path: Path) -> None:
    env = environment(tmp_path, PORT="$WEB_PORT", WEB_PORT="8123", DJANGO_SECRET_KEY=r"\$of-ours")
    assert setting_in(env, "settings.PORT, settings.SECRET_KEY") == "8123 $of-ours"
    done = manage(environment(tmp_path, DJANGO_SECRET_KEY="$s3cret"), "check")
    refused(done, "DJANGO_SECRET_KEY begins with $ and names no variable that is set; write \\$ for a dollar sign")
