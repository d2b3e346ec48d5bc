"""Which pool a poll is sent to."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django_q.conf import Conf
from django_q.models import OrmQ

from polling import dispatch, sync_queue
from polling.models import PollState
from tests.factories import START, make_log, make_race

pytestmark = pytest.mark.django_db


def sent() -> dict[str, int]:
    """Tasks in the queue, by pool."""
    return dict(Counter(OrmQ.objects.values_list("key", flat=True)))


def send_one_far_and_two_near() -> None:
    races = [make_race(start=START + timedelta(minutes=minutes)) for minutes in (2, 5, 30)]
    logs = [make_log(race, state=PollState.CLAIMED) for race in races]
    assert dispatch.send(logs, now=START) == 3


def test_a_race_about_to_start_goes_to_the_fast_pool_where_there_is_one(settings: Any) -> None:
    settings.POLL_FAST_WORKERS = 1
    send_one_far_and_two_near()
    assert sent() == {"fast": 1, "racepoll": 1}
    assert OrmQ.objects.get(key="fast").func() == "polling.tasks.poll_races"


def test_without_a_fast_pool_all_go_to_the_same(settings: Any) -> None:
    settings.POLL_FAST_WORKERS = 0
    send_one_far_and_two_near()
    assert sent() == {"racepoll": 2}


def test_a_push_that_a_poll_of_the_fast_pool_asks_for_goes_to_the_other(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.APPWRITE_ENDPOINT = "http://127.0.0.1:9/v1"
    monkeypatch.setattr(Conf, "CLUSTER_NAME", "fast")  # as in the processes of that pool
    sync_queue.request_push()
    assert sent() == {"racepoll": 1}
