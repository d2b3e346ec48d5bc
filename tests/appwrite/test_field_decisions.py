"""The table of decisions: each takes one field of Appwrite's, once, with its audit entry."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import transaction

from polling.appwrite import field_decisions
from polling.appwrite.field_decisions import FIELD_DECISIONS
from polling.appwrite.mapping import RACE_FIELDS, canonical, instant
from races.decisions import APPWRITE
from races.models import Race
from tests.appwrite.conftest import NOW
from tests.factories import START, make_race

pytestmark = pytest.mark.django_db

VALUES: dict[str, Any] = {
    "status": "finalized",
    "advertised_start": instant(START + timedelta(minutes=10)),
    "staff_note": "soft track",
    "polling_paused": True,
    "poll_requested_at": instant(NOW),
}


def take(race: Race, field: str) -> set[int]:
    values = {field: {race.pk: VALUES[field]}}
    with transaction.atomic():
        return field_decisions.take(values, by=APPWRITE, reason="set in Appwrite", now=NOW)


@pytest.mark.parametrize("field", FIELD_DECISIONS)
def test_a_value_is_taken_once_with_its_audit_entry(field: str) -> None:
    race = make_race()
    assert (take(race, field), take(race, field)) == ({race.pk}, set())
    race.refresh_from_db()
    assert canonical(RACE_FIELDS[field], getattr(race, field)) == VALUES[field]
    assert LogEntry.objects.get().user.username == APPWRITE.username


@pytest.mark.parametrize("field", FIELD_DECISIONS)
def test_the_race_is_planned_again(field: str) -> None:
    race, planned = make_race(), START + timedelta(days=365)
    Race.objects.update(next_poll_at=planned)
    take(race, field)
    race.refresh_from_db()
    assert race.next_poll_at != planned
