"""Two clusters on one database, as two machines run them: every slot is polled once."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests import servers
from tests.slow.machines import TICK, Machines, instant, machines, requests_doubled, running_steadily

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TICKS = 30


@pytest.fixture(params=["PostgreSQL", "PostgreSQL and Redis", "SQLite"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machines]:
    """On SQLite the second cluster is one that somebody started by mistake."""
    database = redis = ""
    if "PostgreSQL" in request.param:
        database = request.getfixturevalue("postgres").new_database()
    if "Redis" in request.param:
        redis = request.getfixturevalue("redis").url()
    with machines(tmp_path, database=database, redis=redis) as them:
        yield them


def test_two_clusters_poll_every_slot_once(pair: Machines) -> None:
    for name in ("a", "b"):
        pair.start(name, "qcluster")
    since = running_steadily(pair)
    read_so_far = {name: len(pair.output_of(name)) for name in ("a", "b")}
    until = pair.wait_for_ticks(TICKS)
    pair.wait_for_open_polls(until=until)
    pair.stop("a", "b")

    ticks = [tick for tick in pair.ticks() if since <= tick["slot_at"] < until]
    assert len(ticks) >= TICKS - 1
    assert {later["slot_at"] - earlier["slot_at"] for earlier, later in pairwise(ticks)} == {TICK}, "none is missed"
    assert [tick for tick in ticks if tick["error"]] == []

    polls = [poll for poll in pair.polls() if since <= poll["slot_at"] < until]
    assert [poll for poll in polls if poll["state"] != "ok"] == []
    planned, made = pair.plan(since=since, until=until), {(poll["race_id"], poll["slot_at"]) for poll in polls}
    assert len(planned) > TICKS
    assert planned - made == set(), "none is missed"

    assert requests_doubled(pair) == {}
    asked = pair.requests()
    for poll in polls:
        began, ended = instant(poll["started_at"]), instant(poll["finished_at"])
        # The provider's log counts in whole milliseconds, rounded down.
        within = [at for at in asked[poll["provider_race_id"]] if began - timedelta(milliseconds=1) <= at <= ended]
        assert len(within) == 1, poll

    outputs = {name: pair.output_of(name, since=length) for name, length in read_so_far.items()}
    assert all("polled" in text for text in outputs.values()), "both have polled"
    assert "Traceback" not in outputs["a"] + outputs["b"]


def test_a_machine_that_dies_leaves_the_other_polling(postgres: servers.Postgres, tmp_path: Path) -> None:
    with machines(tmp_path, database=postgres.new_database()) as them:
        for name in ("a", "b"):
            them.start(name, "qcluster")
        since = running_steadily(them)
        them.kill("a")
        until = them.wait_for_ticks(TICKS // 2)
        them.wait_for_open_polls(until=until)
        them.stop("b")

        ticks = [tick["slot_at"] for tick in them.ticks() if since <= tick["slot_at"] < until]
        assert max(later - earlier for earlier, later in pairwise(ticks)) <= 2 * TICK
        made = {(poll["race_id"], poll["slot_at"]) for poll in them.polls()}
        assert them.plan(since=since, until=until) - made == set(), "every slot has its row"
        assert requests_doubled(them) == {}
