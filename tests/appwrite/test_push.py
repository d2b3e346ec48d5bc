"""Pushing races: over real HTTP to the stand-in."""

from datetime import timedelta

import pytest

from polling.appwrite import push
from tests.appwrite.conftest import Appwrite
from tests.factories import START, make_race

pytestmark = pytest.mark.django_db(transaction=True)
NOW = START - timedelta(minutes=30)


def test_250_new_races_go_in_three_bulk_creates(appwrite: Appwrite) -> None:
    for _ in range(250):
        make_race()
    done = push.run(now=NOW)
    assert (done.trouble, done.races.created, len(appwrite.rows())) == (None, 250, 250)
    assert len(appwrite.asked("POST")) == 3
