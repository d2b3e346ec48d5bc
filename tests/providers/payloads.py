"""Payloads of the provider's shape, with invented tracks, horses and ids; and recordings where they lie beside."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parent / "fixtures"
RECORDINGS = Path(__file__).resolve().parents[2] / "../shared/data/providers"

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WHO: dict[str, Any] = {"provider": "tab", "observed_at": NOW}

NZ_MEETING, QLD_MEETING, OHIO_MEETING = (f"000000a1-0000-5000-8000-00000000000{n}" for n in (1, 2, 3))


def race_id(number: int) -> str:
    """The id that the fixtures give their races."""
    return f"000000b1-0000-5000-8000-{number:012x}"


def fixture(name: str) -> Any:
    """A fresh copy of a payload, for the test to bend."""
    return json.loads((FIXTURES / f"{name}.json").read_text())


def recording(path: str) -> Any:
    """A real payload; the test is skipped where the recordings are not at hand."""
    if not (file := RECORDINGS / path).exists():
        pytest.skip(f"the recorded payload {path} is not beside the repository")
    return json.loads(file.read_text())
