"""The declared tables are complete: every field has a column that fits it, and makes the round trip."""

from datetime import timedelta
from typing import Any

import pytest

from polling.appwrite.api.client import connect
from polling.appwrite.api.rows import Rows
from polling.appwrite.mapping import LOG_FIELDS, RACE_FIELDS, Field, Kind, log_document, race_row_id, read
from polling.appwrite.reconcile import local_values
from polling.appwrite.schema import provision as schema
from polling.models import PollLog, PollState
from races.models import Meeting, Race, Runner
from tests.appwrite.conftest import Appwrite
from tests.factories import START, make_log, make_meeting, make_race

LONG = 16_381  # a longer text is kept off the row
TAKEN = {"data", "id", "total", "rows"}  # names that the SDK or the API would mistake


def test_every_column_has_a_field_and_every_field_a_column() -> None:
    assert schema.TABLES["races"].columns.keys() == RACE_FIELDS.keys()
    assert schema.TABLES["poll_logs"].columns.keys() == {"race_id", *LOG_FIELDS}


def test_no_column_has_a_name_that_the_api_mistakes() -> None:
    for table in schema.TABLES.values():
        assert not TAKEN & table.columns.keys()
        assert all(len(key) <= 36 for key in table.columns)


def test_long_documents_are_kept_off_the_row() -> None:
    columns = schema.TABLES["races"].columns
    assert all(columns[key].size > LONG for key in ("runners", "results", "dividends", "staff_note"))


def source_of(field: Field, model: type[Any]) -> Any:
    name, _, of_meeting = field.source.partition(".")
    if field.kind is Kind.DAY:
        return Meeting._meta.get_field(name)  # a race without a meeting has one too, from its start
    return Meeting._meta.get_field(of_meeting) if of_meeting else model._meta.get_field(name)


@pytest.mark.parametrize(
    ("table", "fields", "model"), [("races", RACE_FIELDS, Race), ("poll_logs", LOG_FIELDS, PollLog)]
)
def test_every_field_is_one_of_the_model_and_fits_its_column(
    table: str, fields: dict[str, Field], model: type[Any]
) -> None:
    for key, field in fields.items():
        longest = getattr(source_of(field, model), "max_length", None)
        size = schema.TABLES[table].columns[key].size
        assert not size or size >= (longest or 0), f"{table}.{key}"


def a_full_race() -> Race:
    """A race with a value in every field that is synced, long texts and strange letters among them."""
    race = make_race(
        meeting=make_meeting(name="Ōtaki 🐎"), number=3, name="The “Cup”", distance_m=2040, status="finalized",
        provider_status="Final", actual_start=START + timedelta(seconds=68, microseconds=123_456),
        outcome="resulted", result_state="final", result_version=2, finalized_by="provider", finalized_at=START,
        last_poll_time=START, last_changed_at=START, polling_paused=True, staff_note="x" * 20_000,
        poll_requested_at=START, version=7,
        results=[{"runner_number": 1, "position": 1, "name": "Pūkeko", "margin": "0.5"}],
        dividends=[{"pool": "win", "product": "tote", "selection": [1], "amount": "2.30", "state": "final"}],
    )  # fmt: skip
    for number in range(1, 25):
        Runner.objects.create(
            race=race, number=number, name=f"Runner {number} " + "🐎" * 50, barrier=number, jockey="J" * 100,
            trainer="T" * 100, scratched_at=START, fixed_win="2.5", fixed_place="1.10", tote_win="100",
            tote_place="9999999.99",
        )  # fmt: skip
    return race


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("version", ["appwrite", "old_appwrite"])
def test_every_field_of_a_race_round_trips(version: str, request: pytest.FixtureRequest) -> None:
    appwrite: Appwrite = request.getfixturevalue(version)
    client = connect()
    assert client is not None
    race = a_full_race()
    values = local_values(Race.objects.select_related("meeting").get(pk=race.pk))
    assert all(value is not None for value in values.values()), "a field that is null proves nothing"
    rows = Rows(client, "races", deadline=float("inf"))
    [reply] = rows.create([{"$id": race_row_id(race), **values}])
    assert read(reply).values == values
    assert read(appwrite.row()).values == values


@pytest.mark.django_db(transaction=True)
def test_every_field_of_a_poll_log_round_trips(appwrite: Appwrite) -> None:
    client = connect()
    assert client is not None
    log = make_log(make_race(), state=PollState.FAILED, http_status=503, error_class="Unavailable", message="é" * 500)
    document = log_document(log, race_row="a" * 32)
    assert all(value is not None for value in document.values())
    [reply] = Rows(client, "poll_logs", deadline=float("inf")).create([document])
    assert document.items() <= reply.items()
