"""How staff resolve a conflict goes to Appwrite, and stays so there."""

from datetime import timedelta
from typing import Any

import pytest

from polling.appwrite import conflict_resolution, mapping
from polling.models import SyncConflict
from races.decisions import Actor
from tests.appwrite.conftest import NOW, Appwrite, change, pulled, pushed, state_of
from tests.factories import START, make_race

pytestmark = pytest.mark.django_db(transaction=True)

OFFICER = Actor("officer")
LATER = mapping.instant(START + timedelta(minutes=20))
EACH_CLASH = pytest.mark.parametrize(
    ("local", "remote"),
    [({"staff_note": "dry"}, {"staff_note": "wet"}), ({}, {"advertised_start": LATER})],
    ids=["both moved", "not theirs to move"],
)


def clash(appwrite: Appwrite, local: dict[str, Any], remote: dict[str, Any]) -> SyncConflict:
    """Django's value has won and stands in Appwrite, the other one in the conflict."""
    race = make_race()
    pushed()
    change(race, **local)
    appwrite.edit(state_of(race).remote_id, **remote)
    assert pulled().conflicts == 1
    pushed()
    return SyncConflict.objects.get()


@EACH_CLASH
def test_what_is_taken_stands_on_both_sides_and_is_no_conflict_again(
    local: dict[str, Any], remote: dict[str, Any], appwrite: Appwrite
) -> None:
    conflict = clash(appwrite, local, remote)
    assert appwrite.row()[conflict.field] == conflict.local
    conflict_resolution.take_theirs([conflict.pk], by=OFFICER, may=lambda permission: True, now=NOW)
    assert pushed().races.changed == 1
    assert appwrite.row()[conflict.field] == remote[conflict.field]
    assert (pulled().conflicts, pushed().races.changed) == (0, 0)
    assert SyncConflict.objects.get().resolution == conflict_resolution.THEIRS


@EACH_CLASH
def test_what_is_kept_writes_nothing(local: dict[str, Any], remote: dict[str, Any], appwrite: Appwrite) -> None:
    conflict = clash(appwrite, local, remote)
    conflict_resolution.keep_ours([conflict.pk], by=OFFICER, now=NOW)
    assert (pulled().conflicts, pushed().races.changed) == (0, 0)
    assert appwrite.row()[conflict.field] == conflict.local
