"""A mistake in the environment is one clear line a variable, exit code 2, and no traceback."""

from pathlib import Path

import pytest

from tests.processes import environment, manage, setting_in

TAB = {
    "RACE_PROVIDERS": "tab_affiliates",
    "TAB_AFFILIATES_CONTACT_EMAIL": "ops@example.com",
    "TAB_AFFILIATES_PARTNER": "Example",
    "TAB_AFFILIATES_PARTNER_ID": "example",
}
GRID = "POLL_WINDOWS and POLL_TICK_SECONDS make no grid"
APPWRITE = {"APPWRITE_ENDPOINT": "http://127.0.0.1:9/v1", "APPWRITE_PROJECT_ID": "p", "APPWRITE_API_KEY": "k"}


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        pytest.param({"RACE_PROVIDERS": "tab_affiliates"}, [
            "TAB_AFFILIATES_CONTACT_EMAIL is not set", "TAB_AFFILIATES_PARTNER is not set",
            "TAB_AFFILIATES_PARTNER_ID is not set",
        ], id="a live provider without identity"),
        pytest.param({"RACE_PROVIDERS": "tabnz"}, ["RACE_PROVIDERS names the unknown provider 'tabnz'"], id="provider"),
        pytest.param({**TAB, "RACE_DETAIL": "often"}, ["RACE_DETAIL is 'often'"], id="a wrong choice"),
        pytest.param({**TAB, "TAB_AFFILIATES_URL": "api.tab"}, ["TAB_AFFILIATES_URL is not a URL"], id="a wrong URL"),
        pytest.param({"APPWRITE_ENDPOINT": "http://127.0.0.1:9/v1"}, [
            "APPWRITE_PROJECT_ID is not set", "APPWRITE_API_KEY is not set",
        ], id="half of Appwrite"),
        pytest.param({**APPWRITE, "APPWRITE_DATABASE_ID": "a/b"}, ["APPWRITE_DATABASE_ID must be an"], id="an id"),
        pytest.param({**APPWRITE, "APPWRITE_API_KEY": "the secret"}, ["APPWRITE_API_KEY must be plain"], id="a key"),
        pytest.param({**APPWRITE, "APPWRITE_POLL_LOGS": "some"}, ["APPWRITE_POLL_LOGS is 'some'"], id="poll logs"),
        pytest.param({**APPWRITE, "APPWRITE_WEBHOOK_SECRET": "short"}, ["APPWRITE_WEBHOOK_SECRET must"], id="short"),
        pytest.param({**APPWRITE, "APPWRITE_WEBHOOK_URL": "https://r.example/hooks/appwrite/"}, [
            "APPWRITE_WEBHOOK_SECRET is not set",
        ], id="a webhook without its secret"),
        pytest.param({**APPWRITE, "APPWRITE_CA_FILE": "/nowhere/ca.pem"}, [
            "APPWRITE_CA_FILE names /nowhere/ca.pem: no such file",
        ], id="a CA file that is missing"),
        pytest.param({**TAB, "PROVIDER_CA_FILE": "/etc"}, ["PROVIDER_CA_FILE names /etc: is a directory"], id="folder"),
        pytest.param({**TAB, "PROVIDER_CA_FILE": "/etc/hostname"}, [
            "PROVIDER_CA_FILE names /etc/hostname, which has no certificate",
        ], id="a CA file without a certificate"),
        pytest.param({**APPWRITE, "APPWRITE_PROXY": "proxy:3128"}, ["APPWRITE_PROXY is not the URL"], id="a proxy"),
        pytest.param({**TAB, "PROVIDER_PROXY": "socks5://u:secret@h:1"}, ["PROVIDER_PROXY is not"], id="SOCKS"),
        pytest.param({**TAB, "PROVIDER_PROXY": "http://u:secret@"}, ["PROVIDER_PROXY is not"], id="no host of a proxy"),
        pytest.param({**TAB, "PROVIDER_PROXY": "http://u:se cret@h"}, ["PROVIDER_PROXY is not"], id="a space in it"),
        pytest.param({"PORT": "eighty"}, ["PORT is 'eighty'"], id="a port that is no number"),
        pytest.param({"PORT": "0"}, ["PORT is 0"], id="a port out of range"),
        pytest.param({"POLL_TICK_SECONDS": "7"}, ["POLL_TICK_SECONDS is 7"], id="a tick off the minute"),
        pytest.param(
            {"POLL_WINDOWS": "20:120,60:300,0:300"}, [f"{GRID}: windows"], id="order"
        ),
        pytest.param({"POLL_WINDOWS": "60:301,0:300"}, [f"{GRID}: every step"], id="a step"),
        pytest.param({"POLL_WINDOWS": "sixty"}, ["POLL_WINDOWS is 'sixty'"], id="windows that are none"),
        pytest.param({"POLL_TICK_SECONDS": "20"}, [GRID], id="a wide tick"),
        pytest.param({"REDIS_URL": "redis//:secret@host"}, ["REDIS_URL is not a URL"], id="a password in a wrong URL"),
        pytest.param({"DATABASE_URL": "mysql://root:secret"}, ["DATABASE_URL is not"], id="and in a database's"),
        pytest.param({**TAB, "TAB_AFFILIATES_URL": "http://[::1"}, ["TAB_AFFILIATES_URL is not"], id="an open bracket"),
        pytest.param({**TAB, "TAB_AFFILIATES_URL": "http://h:x/"}, ["TAB_AFFILIATES_URL is not"], id="a port in words"),
        pytest.param({"RACEPOLL_ENV_FILE": "/nowhere/env"}, ["RACEPOLL_ENV_FILE: there is no"], id="no such file"),
        pytest.param({"RACEPOLL_VAR": "/dev/null"}, ["RACEPOLL_VAR: "], id="a var that is no folder"),
        pytest.param({"DJANGO_DEBUG": "maybe"}, ["DJANGO_DEBUG is 'maybe'"], id="a flag that is neither"),
        pytest.param({"DATABASE_URL": "mysql://u:secret@h/d"}, ["DATABASE_URL is not a sqlite"], id="database"),
        pytest.param({"REDIS_URL": "redis://127.0.0.1:9/0"}, ["DJANGO_SECRET_KEY is not set"], id="no shared key"),
        pytest.param({"REDIS_URL": "127.0.0.1", "PORT": "x"}, ["REDIS_URL is not", "PORT is"], id="two at once"),
    ],
)  # fmt: skip
def test_each_wrong_variable_is_named_in_one_line(values: dict[str, str], lines: list[str], tmp_path: Path) -> None:
    done = manage(environment(tmp_path, **values), "check")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
    printed = done.stderr.strip().splitlines()
    assert len(printed) == len(lines)
    assert all(any(line.startswith(start) for line in printed) for start in lines)


def test_with_nothing_set_the_commands_work_and_the_key_is_kept(tmp_path: Path) -> None:
    assert manage(environment(tmp_path), "check").returncode == 0
    key = (tmp_path / "secret_key").read_text()
    assert len(key) > 50
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
    assert setting_in(environment(tmp_path), "settings.SECRET_KEY") == key
    assert (tmp_path / "secret_key").read_text() == key


def test_a_database_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/nowhere/db.sqlite3"
    done = manage(environment(tmp_path, DATABASE_URL=url), "migrate")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith("DATABASE_URL: the database cannot be used: ")


@pytest.mark.parametrize("command", [["migrate"], ["qcluster"], ["pause", "--all", "--reason", "flood"]])
def test_a_file_that_is_no_database_is_one_line(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a database\n" * 1000)
    done = manage(environment(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/notes"), *command)
    assert done.returncode == 2
    assert done.stderr == "DATABASE_URL: the database cannot be used: file is not a database\n"


def test_a_worker_whose_database_cannot_be_opened_ends_at_once(tmp_path: Path) -> None:
    done = manage(environment(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/nowhere/db.sqlite3"), "qcluster")
    assert done.returncode == 2
    assert done.stderr == "DATABASE_URL: the database cannot be used: unable to open database file\n"


@pytest.mark.parametrize("command", [["qcluster"], ["poll", "1"]])
def test_a_database_without_tables_names_the_command_that_makes_them(command: list[str], tmp_path: Path) -> None:
    done = manage(environment(tmp_path), *command)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith("RACEPOLL_VAR: the database lacks tables or columns: run `manage.py migrate`")


def test_a_blank_value_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "blank.env").write_text("APPWRITE_ENDPOINT=\nRACE_PROVIDERS=\nPORT=\n")
    (tmp_path / "demo-provider.env").write_text("RACE_PROVIDERS=sandbox\nSANDBOX_PROVIDER_URL=http://127.0.0.1:9/x\n")
    env = environment(tmp_path, RACE_DETAIL="", RACEPOLL_ENV_FILE=str(tmp_path / "blank.env"))
    values = "settings.RACE_PROVIDERS, settings.PORT, settings.RACE_DETAIL"
    assert setting_in(env, values) == "('sandbox',) 8000 until_start"


def test_a_unix_socket_is_a_url_of_redis(tmp_path: Path) -> None:
    env = environment(tmp_path, REDIS_URL="unix:///run/redis.sock", DJANGO_SECRET_KEY="k" * 50)
    assert setting_in(env, "settings.Q_CLUSTER['redis']") == "unix:///run/redis.sock"


def test_what_lies_in_var_is_for_its_owner(tmp_path: Path) -> None:
    assert setting_in(environment(tmp_path / "var"), "settings.VAR") == str(tmp_path / "var")
    assert (tmp_path / "var").stat().st_mode & 0o077 == 0


def test_no_password_goes_into_the_name_of_the_target(tmp_path: Path) -> None:
    env = environment(tmp_path, **{**APPWRITE, "APPWRITE_ENDPOINT": "http://bob:hunter2@127.0.0.1:9/v1"})
    assert setting_in(env, "settings.APPWRITE_TARGET") == "p/racepoll@127.0.0.1:9"


def test_the_url_of_a_webhook_is_kept_to_the_letter(tmp_path: Path) -> None:
    url = "https://r.example/hooks/appwrite/"
    env = environment(tmp_path, **APPWRITE, APPWRITE_WEBHOOK_SECRET="long enough", APPWRITE_WEBHOOK_URL=url)
    assert setting_in(env, "settings.APPWRITE_WEBHOOK_URL") == url


def test_the_windows_of_the_cadence_may_be_set(tmp_path: Path) -> None:
    code = "from polling.planning import default_cadence; print([window.name for window in default_cadence().windows])"
    done = manage(environment(tmp_path, POLL_WINDOWS="30:300,2.5:15,0:60"), "shell", "-v0", "-c", code)
    assert done.stdout.strip() == "['T-30', 'T-2.5', 'start']"


def test_secrets_may_lie_in_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file-" * 5)
    env = environment(tmp_path, DJANGO_SECRET_KEY_FILE=str(tmp_path / "key"))
    assert setting_in(env, "settings.SECRET_KEY") == "from-a-file-" * 5


def test_every_variable_that_is_read_is_explained() -> None:
    import re

    from tests.processes import ROOT

    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "racepoll_site/settings.py").read_text()))
    read |= set(re.findall(r'"(TAB_AFFILIATES_[A-Z_]+)"', (ROOT / "racepoll_site/settings.py").read_text()))
    explained = (ROOT / ".env.example").read_text()
    assert len(read) > 20
    assert sorted(name for name in read if name not in explained) == ["RACEPOLL_SIMULATED", "SANDBOX_PROVIDER_URL"]


def test_options_in_the_database_url_win_over_our_limits_of_waiting(tmp_path: Path) -> None:
    url = "postgres://u@127.0.0.1/d?sslmode=require&connect_timeout=2"
    env = environment(tmp_path, DATABASE_URL=url, DJANGO_SECRET_KEY="k")
    options = setting_in(env, "settings.DATABASES['default']['OPTIONS']")
    assert "'sslmode': 'require'" in options
    assert "'connect_timeout': '2'" in options or "'connect_timeout': 2" in options
    assert "lock_timeout=5s" in options
