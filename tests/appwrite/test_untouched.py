"""Polling while Appwrite fails: real ticks and pollers know nothing of it."""

from datetime import timedelta
from typing import Any

import pytest
from django_q.models import OrmQ

from polling import planning
from polling.appwrite.push import run as push
from polling.appwrite.reconcile import local_values
from polling.models import PollLog
from races.models import Race
from tests.appwrite.conftest import Appwrite
from tests.factories import START
from tests.polling.conftest import ProviderBox, provider  # noqa: F401 - a fixture
from tests.polling.driving import TASK_LATE, Driver, polled, ticks

pytestmark = pytest.mark.django_db(transaction=True)
SINCE, UNTIL = START - timedelta(minutes=2), START
NO_APPWRITE = "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    "ill",
    [
        pytest.param({}, id="down"),
        pytest.param({"kind": "html", "status": 200}, id="a portal's page"),
        pytest.param({"kind": "hold"}, id="hangs"),
    ],
)
def test_every_slot_is_polled_on_time_while_appwrite_fails(
    appwrite: Appwrite,
    provider: ProviderBox,  # noqa: F811 - the fixture
    ill: dict[str, Any],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider.now[0] = SINCE - timedelta(minutes=1)
    race = provider.import_card()[0]
    Race.objects.exclude(pk=race.pk).delete()
    provider.steer(race, advertised_start=START.isoformat(), status="Open")
    Race.objects.update(advertised_start=START, provider_start=START, status="scheduled", next_poll_at=None)
    planning.replan([race.pk], now=SINCE - timedelta(seconds=1))
    assert push.run(now=SINCE).races.created == 1
    up = settings.APPWRITE_ENDPOINT
    if ill:
        appwrite.fault(**ill, times=None)
    else:
        settings.APPWRITE_ENDPOINT = NO_APPWRITE
    driver = Driver(provider)
    monkeypatch.setattr(push, "SECONDS_PER_STEP", 0.0)  # so that the push begins, however slow the machine is
    for slot in ticks(SINCE, UNTIL):
        appwrite.forget()
        driver.tick(slot)
        assert appwrite.asked() == []
        if slot == SINCE:
            pushed = push.run(now=slot + TASK_LATE, budget=timedelta(seconds=3))
            assert pushed.error or pushed.unfinished
    assert OrmQ.objects.count() == 1, "one push waits, however many polls have asked for it"
    slots = list(ticks(SINCE, UNTIL))
    assert polled(race) == slots
    lateness = [log.started_at - log.slot_at for log in PollLog.objects.all() if log.started_at]
    assert lateness == [TASK_LATE] * len(slots)

    appwrite.heal()
    settings.APPWRITE_ENDPOINT = up
    push.retry_now()
    assert push.run(now=UNTIL + timedelta(hours=1)).error is None
    row, values = appwrite.row(), local_values(Race.objects.get())
    assert {name: row[name] for name in ("runners", "status", "sync_version")} == {
        name: values[name] for name in ("runners", "status", "sync_version")
    }
    assert row["sync_version"] > 1
