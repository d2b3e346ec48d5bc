"""Which races and rows a push finds, over all that can be known of a row."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from polling.appwrite import sync_state
from polling.models import SyncState
from races.models import Race
from tests.appwrite.conftest import NOW, TARGET
from tests.factories import make_races

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)

STATUSES: list[dict[str, Any]] = [
    {"status": "scheduled"},
    {"status": "in_progress"},
    {"status": "finalized", "finalized_by": "provider", "finalized_at": NOW - HOUR},
]
RACES = [
    {**status, "advertised_start": NOW + ahead, "last_poll_time": polled}
    for status, ahead, polled in product(STATUSES, (HOUR / 2, 2 * HOUR), (None, NOW - timedelta(seconds=5)))
]
GONE: list[dict[str, Any]] = [
    {"base_updated_at": "x"},
    {"base_updated_at": "x", "remote_deleted_at": NOW},
    {"base_updated_at": "", "remote_deleted_at": NOW},
]
KNOWN: list[dict[str, Any]] = [
    {"pushed_version": version, "synced_at": synced, "next_try_at": wait, "dead_since": dead, **gone}
    for version, synced, wait, dead, gone in product(
        (0, 1, 2),
        (None, NOW - timedelta(seconds=20), NOW - HOUR),
        (None, NOW - HOUR, NOW + HOUR),
        (None, NOW - HOUR),
        GONE,
    )
]
ROWS = [None, *KNOWN]


def may_push(race: Race, row: dict[str, Any] | None, *, waiting: bool) -> bool:
    """The rule, a race at a time."""
    if row is None:
        return True
    if row["dead_since"] or (row["next_try_at"] and row["next_try_at"] > NOW and not waiting):
        return False
    if row.get("remote_deleted_at") and row["base_updated_at"]:
        return False
    if row["pushed_version"] < race.version:
        return True
    is_near = race.status != "finalized" and race.advertised_start <= NOW + sync_state.POLL_TIME_WITHIN
    synced, polled = row["synced_at"], race.last_poll_time
    return bool(is_near and polled and synced and synced <= NOW - sync_state.POLL_TIME_EVERY and synced < polled)


@pytest.mark.parametrize("waiting", [False, True])
def test_a_push_finds_the_races_that_the_rule_finds_and_each_row_of_a_race_that_is_gone(
    waiting: bool, settings: Any
) -> None:
    settings.APPWRITE_TARGET = TARGET
    pairs = [(race, row) for values in RACES for race, row in zip(make_races(len(ROWS), **values), ROWS, strict=True)]
    known = [sync_state.new_state(race.pk, f"r{race.pk}", **row) for race, row in pairs if row is not None]
    SyncState.objects.bulk_create(known, batch_size=500)
    for race, _ in pairs[:3]:  # what is known of another Appwrite does not count
        SyncState.objects.create(
            target="other", table="races", local_pk=race.pk, remote_id=f"r{race.pk}", pushed_version=9
        )
    wanted = {race.pk for race, row in pairs if may_push(race, row, waiting=waiting)}
    found = [race.pk for race in sync_state.dirty(now=NOW, waiting=waiting)]
    assert (set(found), len(found)) == (wanted, len(wanted))

    assert not sync_state.orphans(now=NOW, waiting=waiting).exists()
    gone = {race.pk: row for race, row in pairs[-len(ROWS) :] if row is not None}
    Race.objects.filter(pk__in=gone).delete()
    left = {pk for pk, row in gone.items() if not row["dead_since"] and (waiting or row["next_try_at"] != NOW + HOUR)}
    assert {state.local_pk for state in sync_state.orphans(now=NOW, waiting=waiting)} == left
