"""The README's first command on a machine that lacks something."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT


def make(folder: Path, *arguments: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Runs make as a shell does, not as the make that may have started the tests, which would make it print more."""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=folder, env=env | values, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("fails_on", "message"),
    [
        ("ensurepip", "install the package python3-venv (apt-get install python3-venv)"),
        ("version_info", "racepoll needs Python 3.11 or newer"),
    ],
)
def test_what_is_missing_is_named_in_one_line(fails_on: str, message: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").write_text("")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *{fails_on}*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = make(tmp_path, "run", f"PYTHON={python}")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == message
    assert not (tmp_path / ".venv").exists()


# Stands for the Python of a virtual environment that has pip and nothing else.
PYTHON_WITH_PIP = """#!/bin/sh
case "$*" in
*"pip install"*) echo "Collecting Django==5.2 (from -r requirements.txt (line 2))"; echo noise
    echo "Installing collected packages: a, b"; exit "$PIP_EXIT_CODE";;
*) echo "ran $*";;
esac
"""


def make_run(folder: Path, *, pip_exit_code: int) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.txt").write_text("")
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "pip"):
        (programs / name).write_text(PYTHON_WITH_PIP)
        (programs / name).chmod(0o755)
    return make(folder, "run", PIP_EXIT_CODE=str(pip_exit_code))


def test_it_says_what_it_is_doing_before_it_is_done(tmp_path: Path) -> None:
    done = make_run(tmp_path, pip_exit_code=0)
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "installing the packages of requirements.txt (once; a minute or two)",
        "  fetching Django==5.2",
        "  unpacking",
    ]
    assert re.fullmatch(r"  done after \d+ s", lines[3])
    assert lines[4:] == ["starting racepoll", "ran manage.py up"]


def test_packages_that_cannot_be_installed_end_it(tmp_path: Path) -> None:
    done = make_run(tmp_path, pip_exit_code=1)
    assert done.returncode == 2
    assert "starting racepoll" not in done.stdout
    assert not (tmp_path / ".venv" / "run.stamp").exists()
