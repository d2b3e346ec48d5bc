"""A card of 5,000 races: imported in chunks, once, and no burden to the ticks."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ

from polling import importing, tick
from polling.models import PollLog, PollState, Tick
from races.models import Race
from sandbox.provider.racing_day import begin_of, day_number
from tests.factories import START
from tests.polling.conftest import ProviderBox, serving
from tests.polling.driving import STEP, TICK_LATE, Driver, polled

pytestmark = pytest.mark.django_db(transaction=True)

RACES = 5000
FEW_HUNDRED = 300


@pytest.fixture
def huge(settings: Any) -> Iterator[ProviderBox]:
    """The provider with the huge card, an hour before its first start, so that all of it lies within reach."""
    with serving(settings, card="huge") as box:
        box.now[0] = begin_of(day_number(START)) - timedelta(hours=1)
        yield box


def races_by_transaction(captured: CaptureQueriesContext) -> list[int]:
    """How many races each transaction inserted; each row of the statement names the provider once."""
    counts = [0]
    for query in captured:
        if query["sql"].startswith("BEGIN"):
            counts.append(0)
        elif query["sql"].startswith('INSERT INTO "races_race"'):
            counts[-1] += query["sql"].count("'sandbox'")
    return [count for count in counts if count]


def tick_queries(due: list[int], *, now: datetime) -> int:
    """The queries of a tick at which these races and no others are due."""
    PollLog.objects.open().update(state=PollState.OK.value)
    Race.objects.exclude(pk__in=due).update(next_poll_at=now + timedelta(minutes=30))
    Race.objects.filter(pk__in=due).update(next_poll_at=now)
    with CaptureQueriesContext(connection) as seen:
        done = tick.run(now=now + TICK_LATE)
    assert isinstance(done, Tick)
    assert (done.claimed, done.error) == (len(due), "")
    return len([query for query in seen if "django_q_ormq" not in query["sql"]])


@pytest.mark.slow
def test_a_card_of_5000_races_is_stored_in_chunks_once_and_polled_at_no_greater_cost(huge: ProviderBox) -> None:
    now = huge.now[0]
    with CaptureQueriesContext(connection) as seen:
        changes = importing.import_schedule("sandbox", now=now)
    assert len(changes.created) == RACES == Race.objects.count()
    stored = races_by_transaction(seen)
    assert sum(stored) == RACES
    assert max(stored) <= FEW_HUNDRED
    assert not Race.objects.filter(next_poll_at__isnull=True).exists()

    again = importing.import_schedule("sandbox", now=now)
    assert (again.changed, again.created, Race.objects.count()) == (set(), set(), RACES)

    slot = now + timedelta(minutes=5)
    nearest = list(Race.objects.order_by("advertised_start").values_list("pk", flat=True)[:5])
    tick_queries(nearest, now=slot)  # the first heartbeat creates its row
    with_all = tick_queries(nearest, now=slot + STEP)
    OrmQ.objects.all().delete()
    PollLog.objects.open().update(state=PollState.OK.value)
    Driver(huge).drive_due(slot + timedelta(minutes=15))
    first = Race.objects.get(pk=nearest[0])
    assert polled(first)[-3:] == [slot + minutes * timedelta(minutes=5) for minutes in (1, 2, 3)]

    Race.objects.exclude(pk__in=nearest).delete()
    later = slot + timedelta(hours=2)
    tick_queries(nearest, now=later)  # the first heartbeat after a pause reads how long it was
    assert tick_queries(nearest, now=later + STEP) == with_all
