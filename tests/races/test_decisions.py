"""Decisions of staff: each is audited once, and changes a race once."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from races import decisions, ingest
from races.decisions import Actor
from tests.factories import START
from tests.races.answers import NOW, full, race

pytestmark = pytest.mark.django_db


DECISIONS: list[tuple[Callable[..., list[int]], dict[str, Any], str]] = [
    (decisions.finalize, {"reason": "void"}, "Finalized: void"),
    (decisions.pause, {"reason": "fog"}, "Polling paused: fog"),
    (decisions.annotate, {"note": "late"}, "Note: late"),
]


@pytest.mark.parametrize(("decide", "values", "message"), DECISIONS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_decision_is_audited_once_and_raises_the_version_once(
    decide: Callable[..., list[int]], values: dict[str, Any], message: str
) -> None:
    ingest.apply([full()], now=NOW)
    version = race().version
    now: datetime = START
    assert decide([race().pk], by=Actor("kim"), now=now, **values) == [race().pk]
    assert decide([race().pk], by=Actor("kim"), now=now, **values) == []
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.change_message, entry.object_id) == ("kim", message, str(race().pk))
    assert race().version == version + 1


def test_a_reopened_race_is_under_way_or_scheduled_again() -> None:
    ingest.apply([full()], now=NOW)
    decisions.finalize([race().pk], by=Actor("kim"), reason="by mistake", now=NOW)
    assert decisions.reopen([race().pk], by=Actor("kim"), reason="sorry", now=NOW) == [race().pk]
    assert (race().status, race().finalized_by, race().finalized_at) == ("scheduled", "", None)
