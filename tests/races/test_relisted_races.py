"""Which race a provider lists again under a new id."""

from datetime import timedelta

import pytest

from races.models import Race
from races.relisted_races import relisted_races_of
from tests.factories import START, make_meeting, make_race


@pytest.mark.django_db
def test_only_the_same_number_at_the_same_track_on_the_same_day_is_a_relisted_race() -> None:
    here, elsewhere = make_meeting(), make_meeting()
    again = make_meeting(name=here.name)
    race = make_race(meeting=here, number=5)
    make_race(meeting=here, number=6)
    make_race(meeting=elsewhere, number=5)
    make_race(meeting=make_meeting(name=here.name, racing_day=START.date() + timedelta(days=1)), number=5)
    nowhere = make_race(meeting=None, number=5)
    assert relisted_races_of([race, nowhere]) == {}
    relisted = make_race(meeting=again, number=5)
    assert relisted_races_of([race, nowhere]) == {race.pk: relisted}
    Race.objects.filter(pk=race.pk).update(off_card_since=START)
    assert relisted_races_of([relisted]) == {}, "the race that left the card is not listed again"
