"""Which cadence a race has is decided in one place."""

import re
from pathlib import Path

import polling

ROOT = Path(polling.__file__).parent


def test_who_has_a_race_asks_for_its_cadence_and_reads_but_the_tick_of_the_default_one() -> None:
    """So that a cadence per code of racing needs a change of `cadence_of` alone."""
    pattern = re.compile(r"^.*default_cadence\(\)(?!\.tick).*$", re.MULTILINE)
    lines = {line.strip() for path in ROOT.rglob("*.py") for line in pattern.findall(path.read_text())}
    assert lines == {"def default_cadence() -> Cadence:", "return default_cadence()"}
