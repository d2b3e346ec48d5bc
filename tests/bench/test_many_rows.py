"""That the benches of many rows build what they say and open every list, at a small size."""

from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django_q.models import Failure

from bench import lists
from bench.many_rows import RUNNERS, SMALL, build
from polling.models import PollLog, SyncConflict, Tick
from races.models import PriceChange, Race, Runner

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)


@pytest.fixture
def built() -> None:
    build(SMALL, now=NOW)


@pytest.mark.usefixtures("built")
def test_as_many_rows_are_built_as_are_named() -> None:
    counts = {
        "races": Race, "logs": PollLog, "price_changes": PriceChange, "decisions": LogEntry, "failed_tasks": Failure,
        "ticks": Tick, "conflicts": SyncConflict,
    }  # fmt: skip
    made = {name: model._default_manager.count() for name, model in counts.items()}
    # Whole runners only have their changes, whole races their polls.
    assert made == asdict(SMALL) | {"price_changes": made["price_changes"]}
    assert SMALL.price_changes * 0.9 <= made["price_changes"] <= SMALL.price_changes
    assert Runner.objects.count() == SMALL.races * RUNNERS
    newest = PollLog.objects.latest("slot_at")
    assert newest.slot_at < NOW


@pytest.mark.usefixtures("built")
@pytest.mark.timeout(600)
def test_every_list_is_opened_and_the_slowest_is_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "ROUNDS", 1)
    monkeypatch.setattr(lists, "SEARCHES", ("Halloran R5",))
    [figure] = lists.figures()
    assert figure.name == "slowest_list_ms"
    assert figure.n > 200
    assert figure.value == pytest.approx(max(figure.details["worst_ms"].values()), abs=1)
