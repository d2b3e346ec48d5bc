"""One canonical form per value, and what a row of Appwrite may hold."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from polling.appwrite.mapping import (
    Field,
    Kind,
    canonical,
    complete,
    instant,
    is_unreadable,
    race_row_id,
    race_values,
    read,
)  # fmt: skip

NOON = datetime(2026, 11, 23, 12, 0, 0, 123_999, tzinfo=UTC)
NOON_TEXT = "2026-11-23T12:00:00.123+00:00"


@dataclass
class Thing:
    """A race, a meeting or a runner, as far as the mapping looks."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def canonical_of(kind: Kind, value: Any) -> Any:
    return canonical(Field(kind, "x"), value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(NOON, NOON_TEXT, id="microseconds are cut to milliseconds"),
        pytest.param(NOON.astimezone(timezone(timedelta(hours=13))), NOON_TEXT, id="any zone becomes UTC"),
        pytest.param("2026-11-23T12:00:00.123Z", NOON_TEXT, id="Z is UTC"),
        pytest.param("2026-11-24T01:00:00.123+13:00", NOON_TEXT, id="an offset becomes UTC"),
        pytest.param("2026-11-23T12:00:00.123", NOON_TEXT, id="without a zone it is UTC"),
        pytest.param(NOON_TEXT, NOON_TEXT, id="the canonical form stays"),
        pytest.param(None, None, id="null stays null"),
    ],
)
def test_an_instant_has_one_canonical_form(value: Any, text: str | None) -> None:
    assert instant(value) == text


@pytest.mark.parametrize(
    ("kind", "value", "canonical_value"),
    [
        pytest.param(Kind.TEXT, "", None, id="empty text is null"),
        pytest.param(Kind.TEXT, "Ōtaki", "Ōtaki", id="text stays"),
        pytest.param(Kind.BOOLEAN, None, False, id="not paused and null are one"),
        pytest.param(Kind.BOOLEAN, True, True, id="true stays"),
        pytest.param(Kind.INTEGER, 0, 0, id="nought is a number"),
        pytest.param(Kind.JSON, [], None, id="an empty list is null"),
        pytest.param(
            Kind.JSON, [{"b": 1, "a": Decimal("2.50")}], '[{"a":"2.50","b":1}]', id="sorted, decimals as text"
        ),
        pytest.param(Kind.JSON, '[{"b":1}]', '[{"b":1}]', id="text from Appwrite stays as it is"),
    ],
)
def test_a_value_has_one_canonical_form(kind: Kind, value: Any, canonical_value: Any) -> None:
    assert canonical_of(kind, value) == canonical_value
    assert canonical_of(kind, canonical_value) == canonical_value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param(Kind.TEXT, 5, id="a number for a text"),
        pytest.param(Kind.TEXT, "a\x00b", id="a NUL that PostgreSQL cannot store"),
        pytest.param(Kind.TEXT, "\ud800", id="half of a surrogate pair"),
        pytest.param(Kind.INTEGER, "5", id="a text for a number"),
        pytest.param(Kind.INTEGER, True, id="a boolean for a number"),
        pytest.param(Kind.BOOLEAN, "yes", id="a text for a boolean"),
        pytest.param(Kind.INSTANT, "next monday", id="words for an instant"),
        pytest.param(Kind.INSTANT, 1_795_400_000, id="a number for an instant"),
        pytest.param(Kind.JSON, 5, id="a number for a list"),
        pytest.param(Kind.DAY, 20_261_128, id="a number for a day"),
    ],
)
def test_a_value_of_the_wrong_type_makes_its_field_unreadable(kind: Kind, value: Any) -> None:
    values = read({"$id": "a", "$updatedAt": NOON_TEXT, _FIELD_OF[kind]: value}).values
    words = values.pop(_FIELD_OF[kind])
    assert is_unreadable(words)
    assert "\x00" not in words
    assert words.encode()
    assert complete({_FIELD_OF[kind]: words})[_FIELD_OF[kind]] == words, "so it can be kept as a base"
    assert not any(map(is_unreadable, values.values()))


_FIELD_OF = {
    Kind.TEXT: "staff_note",
    Kind.INTEGER: "race_number",
    Kind.BOOLEAN: "polling_paused",
    Kind.DAY: "racing_day",
    Kind.INSTANT: "poll_requested_at",
    Kind.JSON: "runners",
}


def test_the_reason_names_the_field() -> None:
    with pytest.raises(ValueError, match="^race_number: 'one' is no whole number$"):
        read({"$id": "a", "$updatedAt": NOON_TEXT, "race_number": "one"}).need_readable()


def test_a_row_without_its_columns_is_all_null() -> None:
    remote = read({"$id": "a", "$updatedAt": NOON_TEXT, "$sequence": "7", "their_own_column": 1})
    assert remote.values == complete({})
    assert set(remote.values.values()) == {None, False}
    assert (remote.row_id, remote.updated_at, remote.sequence) == ("a", NOON_TEXT, "7")


@pytest.mark.parametrize("row", [{"$id": "a"}, {"$updatedAt": NOON_TEXT}, {"$id": 5, "$updatedAt": NOON_TEXT}])
def test_a_row_without_id_or_time_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\$id or \$updatedAt"):
        read(row)


def test_runners_are_written_with_what_there_is_of_them() -> None:
    runner = Thing(
        number=3, letter="A", absent_since=None, name="Ōhau", barrier=None, jockey="", trainer="T", scratched_at=NOON,
        fixed_win=Decimal("2.5"), fixed_place=None, tote_win=Decimal("10.00"), tote_place=None,
    )  # fmt: skip
    text = race_values(Thing(meeting=None), [runner])["runners"]
    expected = (
        '[{"fixed_win":"2.50","letter":"A","name":"Ōhau","number":3,'
        '"scratched_at":"NOON","tote_win":"10.00","trainer":"T"}]'
    )
    assert text == expected.replace("NOON", NOON_TEXT)


def test_a_code_that_the_column_does_not_know_is_null() -> None:
    assert race_values(Thing(meeting=Thing(code="camel")), [])["code"] is None
    assert race_values(Thing(meeting=Thing(code="harness")), [])["code"] == "harness"


def test_a_race_keeps_its_row_id_in_a_recreated_database() -> None:
    first = Thing(pk=1, provider="tab", provider_race_id="r-1")
    again = Thing(pk=99, provider="tab", provider_race_id="r-1")
    assert race_row_id(first) == race_row_id(again)
    assert race_row_id(first) != race_row_id(Thing(pk=1, provider="tab", provider_race_id="r-2"))


def test_a_race_without_a_provider_id_has_a_row_id_of_its_own() -> None:
    one, other = (Thing(pk=pk, provider="", provider_race_id="", original_advertised_start=NOON) for pk in (1, 2))
    assert race_row_id(one) != race_row_id(other)


def test_a_row_id_is_one_that_appwrite_takes() -> None:
    row_id = race_row_id(Thing(pk=1, provider="tab", provider_race_id="Ø/../" * 20))
    assert len(row_id) <= 36
    assert row_id.isalnum()
    assert row_id == row_id.lower()
