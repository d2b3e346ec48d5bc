"""The README's first command on a machine that lacks something."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT


@pytest.mark.parametrize(
    ("fails_on", "said"),
    [
        ("ensurepip", "install the package python3-venv (apt-get install python3-venv)"),
        ("version_info", "racepoll needs Python 3.11 or newer"),
    ],
)
def test_what_is_missing_is_named_in_one_line(fails_on: str, said: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").write_text("")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *{fails_on}*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "run", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == said
    assert not (tmp_path / ".venv").exists()
