"""Small files: whole or absent, for their owner alone."""

import multiprocessing
import os
import secrets
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from polling.files import UnreadableFile, make_private_folder, read_text, stored_secret, write_private


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("blank", [None, "", " \n"])
def test_a_secret_is_made_once_and_made_again_where_a_full_disk_left_none(blank: str | None, tmp_path: Path) -> None:
    file = tmp_path / "secret_key"
    if blank is not None:
        file.write_text(blank)
    made = iter(["first", "second"])
    assert [stored_secret(file, lambda: next(made)) for _ in range(3)] == ["first"] * 3
    assert mode(file) == 0o600
    assert os.listdir(tmp_path) == ["secret_key"]  # noqa: PTH208


def _keep(file: Path, start: Barrier, found: "multiprocessing.SimpleQueue[str]") -> None:
    start.wait(60)
    found.put(stored_secret(file, lambda: secrets.token_urlsafe(50)))


@pytest.mark.parametrize("is_blank", [False, True])
def test_of_processes_that_come_at_once_one_makes_it_and_all_read_the_same(is_blank: bool, tmp_path: Path) -> None:
    file = tmp_path / "secret_key"
    if is_blank:
        file.touch()
    fork = multiprocessing.get_context("fork")
    start, found = fork.Barrier(6), fork.SimpleQueue()
    processes = [fork.Process(target=_keep, args=(file, start, found)) for _ in range(6)]
    for process in processes:
        process.start()
    keys = {found.get() for _ in processes}
    for process in processes:
        process.join(60)
    assert keys == {file.read_text()}


def test_what_cannot_be_written_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "login"
    write_private(file, "staff / old")
    with pytest.raises(UnicodeEncodeError):
        write_private(file, "staff / \udcff")
    assert file.read_text() == "staff / old"
    assert os.listdir(tmp_path) == ["login"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("content", "message"), [(b"a\nb\xff", "is not UTF-8 (line 2)"), (b"a" * 70_000, "is larger than 64 KB")]
)
def test_what_is_not_a_small_text_is_unreadable(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UnreadableFile) as caught:
        read_text(tmp_path / "file")
    assert str(caught.value) == message
    with pytest.raises(UnreadableFile, match="cannot be read: Is a directory"):
        read_text(tmp_path)


def test_a_folder_of_ours_is_closed_with_what_is_in_it(tmp_path: Path) -> None:
    var = tmp_path / "var"
    var.mkdir()
    var.chmod(0o777)
    kept = ["racepoll.sqlite3", "racepoll.sqlite3-wal", "racepoll.sqlite3-shm", "demo.sqlite3", "secret_key"]
    kept += ["staff-login", "demo-provider.env"]
    for name in [*kept, "notes.txt"]:
        (var / name).touch()
        (var / name).chmod(0o644)
    make_private_folder(var)
    assert mode(var) == 0o700
    assert {mode(var / name) for name in kept} == {0o600}
    assert mode(var / "notes.txt") == 0o644


def test_an_empty_folder_is_closed_and_a_new_one_is_made_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty").chmod(0o755)
    for name in ("empty", "new"):
        make_private_folder(tmp_path / name)
        assert mode(tmp_path / name) == 0o700


def test_a_folder_of_others_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "theirs.txt").touch()
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path)
    assert mode(tmp_path) == 0o755


def test_what_a_link_points_at_keeps_its_mode(tmp_path: Path) -> None:
    var, elsewhere = tmp_path / "var", tmp_path / "elsewhere"
    var.mkdir()
    elsewhere.touch()
    elsewhere.chmod(0o644)
    (var / "racepoll.sqlite3").symlink_to(elsewhere)
    make_private_folder(var)
    assert mode(elsewhere) == 0o644
