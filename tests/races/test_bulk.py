"""Bulk writes: every row gets its own values, of the right type, and nothing else is touched."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext

from races.bulk import write_fields
from races.models import Race, Runner
from tests.factories import START, make_race

pytestmark = pytest.mark.django_db

KINDS: dict[str, list[Any]] = {
    "name": ["Cup", "", "Cup 50 % off"],
    "number": [7, None, 0],
    "protest": [True, False, True],
    "results": [[{"runner_number": 1, "margin": "0.1"}], [], [{"name": "O'Neill"}]],
    "snoozed_until": [START, None, START + timedelta(microseconds=1)],
    "meeting": [None, None, None],
    "actual_start": [None, None, None],
    "distance_m": [None, None, None],
}


def stored(race: Race, name: str) -> Any:
    return getattr(Race.objects.get(pk=race.pk), name)


@pytest.mark.parametrize(("name", "values"), KINDS.items(), ids=KINDS)
def test_values_come_back_as_they_were_written(name: str, values: list[Any]) -> None:
    races = [make_race(actual_start=START, distance_m=1400) for _ in values]
    for race, value in zip(races, values, strict=True):
        setattr(race, name, value)
    write_fields(races, [name])
    assert [stored(race, name) for race in races] == values


def test_odds_come_back_as_decimals_with_their_cents() -> None:
    runners = [Runner.objects.create(race=make_race(), number=1, name="Horse", fixed_win=1) for _ in range(3)]
    for runner, odds in zip(runners, [Decimal("2.50"), None, Decimal("1000000.01")], strict=True):
        runner.fixed_win = odds
    write_fields(runners, ["fixed_win"])
    assert list(Runner.objects.order_by("pk").values_list("fixed_win", flat=True)) == [
        Decimal("2.50"), None, Decimal("1000000.01"),
    ]  # fmt: skip


def test_only_the_fields_named_of_the_rows_given_are_written() -> None:
    ours, other = make_race(name="ours"), make_race(name="other")
    ours.name, ours.staff_note, other.name = "new", "not asked for", "not given"
    write_fields([ours], ["name"])
    assert (stored(ours, "name"), stored(ours, "staff_note"), stored(other, "name")) == ("new", "", "other")


def test_a_row_that_is_gone_is_not_made_again() -> None:
    gone, here = make_race(), make_race()
    Race.objects.filter(pk=gone.pk).delete()
    write_fields([gone, here], ["number"])
    assert list(Race.objects.all()) == [here]


def test_more_rows_than_one_statement_holds_are_all_written() -> None:
    Race.objects.bulk_create(
        Race(provider_race_id=f"r{n}", advertised_start=START, original_advertised_start=START) for n in range(700)
    )
    races = list(Race.objects.order_by("pk"))
    for number, race in enumerate(races):
        race.number, race.name = number, f"race {number}"
    with CaptureQueriesContext(connection) as queries:
        write_fields(races, ["number", "name"])
    wanted = [(number, f"race {number}") for number in range(700)]
    assert list(Race.objects.order_by("pk").values_list("number", "name")) == wanted
    assert len(queries) == (1 if connection.vendor == "postgresql" else 3)


def test_nothing_to_write_asks_nothing() -> None:
    with CaptureQueriesContext(connection) as queries:
        write_fields([], ["name"])
        write_fields([make_race()], [])
    assert not [query for query in queries if query["sql"].startswith("UPDATE")]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite does not know the length of a text")
def test_a_text_too_long_is_refused_and_never_cut() -> None:
    race = make_race()
    race.provider_status = "x" * 41
    with pytest.raises(DataError):
        write_fields([race], ["provider_status"])
