"""What a cluster writes beside its duty may fail; ticks and polls go on, and that is reported in two lines."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from polling import clock
from tests.processes import environment, eventually, manage
from tests.slow.clusters import TICK, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A migrated database."""
    done = manage(environment(tmp_path / "template", POLL_TICK_SECONDS=str(TICK)), "migrate", "-v0")
    assert done.returncode == 0, done.stderr
    return tmp_path / "template" / "racepoll.sqlite3"


def test_a_place_of_the_statistics_that_is_gone_holds_no_tick(tmp_path: Path, template: Path) -> None:
    """A file where the directory was, so that root cannot write there either. django-q2's own loop comes every 30 s;
    ours every three."""
    with running("orm", tmp_path, template) as cluster:
        place = tmp_path / "cluster"

        def ticked_and_polled(since: datetime) -> Callable[[], bool]:
            return lambda: cluster.ticks(since=since) >= 6 and cluster.polls("ok", since=since) > 0

        shutil.rmtree(place)
        place.write_text("")
        eventually("ticks go on", ticked_and_polled(clock.now()), seconds=60)
        place.unlink()
        eventually("it is reported", lambda: "no longer, after" in cluster.output, seconds=60)
        lines = [line for line in cluster.output.splitlines() if "statistics cannot be stored" in line]
        assert len(lines) == 2, lines
        assert "Errno" not in cluster.output.replace(lines[0], "")
