"""`RACEPOLL_VAR`: that very folder, for its owner alone, or one line that says why it cannot be used."""

from pathlib import Path

import pytest

from tests.processes import environment, manage, setting_in


@pytest.mark.parametrize("name", ["a#b?c=1&d%41+e f;g", "übung"])
def test_the_database_lies_in_that_very_folder(name: str, tmp_path: Path) -> None:
    var = tmp_path / name
    assert manage(environment(var), "migrate", "-v0", "sessions").returncode == 0
    assert (var / "racepoll.sqlite3").stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert {path.stat().st_mode & 0o077 for path in [var, *var.glob("*")]} == {0}


def test_a_relative_folder_is_the_one_beside_whoever_names_it(tmp_path: Path) -> None:
    found = setting_in(environment(Path("here")), "settings.DATABASES['default']['NAME']", cwd=tmp_path)
    assert found == str(tmp_path / "here" / "racepoll.sqlite3")


def test_open_modes_are_closed_at_the_next_start(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in ("racepoll.sqlite3", "demo.sqlite3", "demo.sqlite3-wal", "staff-login")]
    for path in kept:
        path.touch()
        path.chmod(0o644)
    tmp_path.chmod(0o755)
    assert setting_in(environment(tmp_path), "settings.VAR") == str(tmp_path)
    assert {path.stat().st_mode & 0o077 for path in [tmp_path, *kept]} == {0}


@pytest.mark.parametrize(
    ("var", "message"),
    [
        # Nothing can be made there, not even by root.
        pytest.param("/proc/self", "RACEPOLL_VAR: /proc/self/secret_key: ", id="read-only"),
        pytest.param("/proc/racepoll", "RACEPOLL_VAR: /proc/racepoll: ", id="in a folder that is read-only"),
        pytest.param("/dev/null/var", "RACEPOLL_VAR: /dev/null/var: Not a directory", id="below a file"),
        pytest.param("/tmp/a\nb", "RACEPOLL_VAR has characters that are not text", id="a line break"),  # noqa: S108
        pytest.param("/tmp/a\udcff", "RACEPOLL_VAR has characters that are not text", id="no UTF-8"),  # noqa: S108
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(var: str, message: str) -> None:
    done = manage(environment(Path(var)), "check")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith(message)


def test_a_key_that_is_no_text_is_refused_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_bytes(b"\xff\xfe")
    done = manage(environment(tmp_path), "check")
    assert (done.returncode, done.stderr) == (2, f"RACEPOLL_VAR: {tmp_path}/secret_key is not UTF-8 (line 1)\n")
