"""The import against a local provider: what its card lists, what it does not list any more, and what it cannot read."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from polling import importing, pollers, providers
from polling.errors import Malformed, PollingError, Unavailable
from polling.models import PollLog, PollState, ProviderState, Trigger
from races.models import Race
from tests.factories import START

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
NOW = START - 60 * MINUTE


def race(number: int, *, start: Any = START, **facts: Any) -> dict[str, Any]:
    written = start if isinstance(start, str) else start.isoformat()
    return {"id": f"race-{number}", "race_number": number, "start_time": written, "status": "Open"} | facts


def meetings(*races: Any, **facts: Any) -> dict[str, Any]:
    meeting = {"meeting": "meet-1", "name": "Invented Park", "country": "NZ", "races": list(races)} | facts
    return {"data": {"meetings": [meeting]}}


class Server:
    """A provider that answers with a card and with events as the test sets them."""

    def __init__(self, httpserver: HTTPServer) -> None:
        self.card: Any = meetings()
        self.events: dict[str, Any] = {}
        httpserver.expect_request("/racing/meetings").respond_with_handler(lambda _: _json_reply(self.card))
        httpserver.expect_request("/racing/events/race-1").respond_with_handler(
            lambda request: _json_reply(self.events[request.path.rpartition("/")[2]])
        )


def _json_reply(value: Any) -> Response:
    import json

    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Response(body, content_type="application/json")


@pytest.fixture
def server(httpserver: HTTPServer, settings: Any) -> Any:
    settings.RACE_PROVIDERS, settings.SANDBOX_PROVIDER_URL = ("sandbox",), httpserver.url_for("")
    providers.get.cache_clear()
    yield Server(httpserver)
    providers.get.cache_clear()


def run(minutes: int = 0) -> None:
    importing.import_schedule("sandbox", now=NOW + minutes * MINUTE)


def state() -> ProviderState:
    return ProviderState.objects.get(name="sandbox")


@pytest.mark.parametrize(
    ("card", "error"),
    [
        pytest.param({"header": {"error": "upstream timeout"}, "data": {}}, Unavailable, id="an error inside a 200"),
        pytest.param({"header": {"error": {"code": 7}}, "data": None}, Unavailable, id="an error and no data"),
        pytest.param({"errors": ["down"], "data": {"meetings": []}}, Unavailable, id="errors beside an empty card"),
        pytest.param({"data": {"error": "down"}}, Unavailable, id="an error in place of the data"),
        pytest.param({"data": {"meetings": None}}, Malformed, id="null"),
        pytest.param({"data": {"meetings": []}}, Malformed, id="an empty card"),
        pytest.param({"data": {}}, Malformed, id="no card"),
        pytest.param(meetings(race(1, start=START + timedelta(days=30))), Malformed, id="a card of another month"),
        pytest.param(meetings(race(1, start="soon")), Malformed, id="nothing that can be read"),
    ],
)
def test_a_card_without_the_races_that_are_known_is_a_failure_and_changes_nothing(
    server: Server, card: Any, error: type[PollingError]
) -> None:
    server.card = meetings(race(1))
    run()
    before = Race.objects.values().get()
    server.card = card
    with pytest.raises(error):
        run(5)
    assert Race.objects.values().get() == before
    assert state().last_import_at == NOW
    assert state().last_import_error.startswith(error.__name__)


@pytest.mark.parametrize("days", [2, -1])
def test_a_race_that_the_card_moves_out_of_the_imports_window_takes_its_new_start(server: Server, days: int) -> None:
    server.card = meetings(race(1))
    run()
    moved = START + timedelta(days=days)
    server.card = meetings(race(1, start=moved), race(2, start=moved))
    run(5)
    assert Race.objects.get().advertised_start == moved, "the other one was not known, and is none of the window"
    assert state().last_import_error == ""


def test_imports_that_fail_are_logged_when_they_begin_to_and_when_they_work_again(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.card = meetings(race(1))
    run()
    server.card = []
    for minutes in (5, 10, 15):
        with pytest.raises(PollingError):
            run(minutes)
    server.card = meetings(race(1))
    run(20)
    warnings = [line.getMessage() for line in caplog.records if line.levelname == "WARNING"]
    assert [words.split(",")[0].split(":")[0] for words in warnings] == [
        "import from sandbox failed", "imports from sandbox work again",
    ]  # fmt: skip


def test_an_empty_card_is_no_failure_where_no_race_is_known(server: Server) -> None:
    server.card = {"data": {"meetings": None}}
    run()
    assert (state().last_import_error, state().card_races) == ("", 0)


def test_an_error_beside_a_whole_card_is_counted(server: Server) -> None:
    server.card = meetings(race(1)) | {"header": {"error": "one source is late"}}
    run()
    assert Race.objects.count() == 1
    assert state().left_out == {"errors": 1}


def test_races_that_left_the_card_are_said_once_with_their_names(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.card = meetings(*map(race, range(1, 9)))
    run()
    server.card = meetings(race(1))
    with caplog.at_level(logging.INFO, "polling.importing"):
        run(5)
        run(10)
        server.card = meetings(*map(race, range(1, 9)))
        run(15)
    facts = [r.getMessage() for r in caplog.records if "card" in r.getMessage()]
    names = ", ".join(f"Invented Park R{number}" for number in range(2, 7))
    assert facts == [
        f"sandbox: 7 races to come are not on the card any more: {names} and 2 others; "
        "it has 1 races now, and had 8 before",
        f"sandbox: 7 races are on the card again: {names} and 2 others",
    ]
    assert not Race.objects.exclude(off_card_since=None).exists()


def test_a_race_that_leaves_the_card_after_its_start_is_marked_and_no_warning(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.card = meetings(*map(race, range(1, 5)), race(9, start=START + 300 * MINUTE))
    run()
    server.card = meetings(*map(race, range(2, 5)), race(9, start=START + 300 * MINUTE))
    run(61)
    assert [race.number for race in Race.objects.exclude(off_card_since=None)] == [1]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "card",
    [
        pytest.param(meetings(race(1), race(2, start="soon")), id="its start cannot be read"),
        pytest.param(meetings(race(1), race(2, start=START + timedelta(days=3))), id="it was postponed for days"),
        pytest.param(
            {"data": {"meetings": [{"meeting": "meet-1", "races": [race(number)]} for number in (2, 1)]}},
            id="its meeting is listed in two parts",
        ),
        pytest.param(meetings(race(1), "junk"), id="a row of its meeting cannot be read"),
        pytest.param(
            {"data": {"meetings": [*meetings(race(1))["data"]["meetings"], "junk"]}}, id="a meeting cannot be read"
        ),
        pytest.param(
            {"data": {"meetings": [{"meeting": "m2", "races": [race(1)]}, {"meeting": "meet-1", "races": None}]}},
            id="the races of its meeting are null",
        ),
    ],
)
def test_a_race_that_may_be_on_the_card_is_not_missed(server: Server, card: Any) -> None:
    server.card = meetings(race(1), race(2))
    run()
    server.card = card
    run(5)
    assert not Race.objects.exclude(off_card_since=None).exists()


def test_what_could_not_be_read_of_a_card_is_counted_on_its_provider(server: Server) -> None:
    server.card = meetings(race(1), race(2, start="soon"), "junk", race(0))
    run()
    assert (state().card_races, state().left_out) == (1, {"rows": 2, "rows that are no races": 1})
    server.card = meetings(race(1))
    run(5)
    assert state().left_out == {}


def event(*runners: Any, at: Any = START, **facts: Any) -> dict[str, Any]:
    race = {"event_id": "race-1", "race_number": 1, "status": "Open", "advertised_start": int(START.timestamp())}
    header = {"generated_time": at.isoformat()}
    return {"header": header, "data": {"race": race | facts, "runners": list(runners)}}


def poll(minutes: int) -> PollLog:
    """One poll of the race for its detail."""
    at = NOW + minutes * MINUTE
    log = PollLog.objects.create(
        race=Race.objects.get(), slot_at=at, trigger=Trigger.FORCED.value, state=PollState.CLAIMED.value,
        claimed_at=at, lease_until=at + MINUTE,
    )  # fmt: skip
    pollers.run([log.pk], now=at, finished=lambda: at)
    return PollLog.objects.get(pk=log.pk)


def test_an_older_answer_is_refused_said_in_the_log_and_counted_on_the_provider(server: Server) -> None:
    server.card = meetings(race(1))
    run()
    runner = {"runner_number": 1, "name": "Huia", "odds": {"fixed_win": 5}}
    server.events["race-1"] = event(runner, at=NOW + MINUTE, status="Closed")
    assert poll(1).changed
    server.events["race-1"] = event({**runner, "odds": {"fixed_win": 2}}, at=NOW - MINUTE)
    log = poll(2)
    assert (log.state, log.changed, log.message) == ("ok", False, pollers.OLDER_ANSWER)
    assert (Race.objects.get().status, str(Race.objects.get().runners.get().fixed_win)) == ("in_progress", "5.00")
    assert (state().older_answers, state().older_answer_at) == (1, NOW + 2 * MINUTE)


def test_an_older_card_does_not_undo_what_a_newer_detail_reported(server: Server) -> None:
    server.card = meetings(race(1)) | {"header": {"generated_time": NOW.isoformat()}}
    run()
    server.events["race-1"] = event(at=NOW + 3 * MINUTE, status="Closed")
    poll(3)
    run(4)
    assert Race.objects.get().status == "in_progress"
    assert state().older_answers == 1


def test_text_in_another_charset_costs_nothing_and_lost_characters_are_counted_on_the_race(
    server: Server, httpserver: HTTPServer
) -> None:
    server.card = meetings(race(1))
    run()
    body = str(event({"runner_number": 1, "name": "Caf# Invent#"}, at=NOW)).replace("'", '"').replace("#", "é")

    def answer(content_type: str) -> None:
        httpserver.clear()
        reply = Response(body.encode("iso-8859-1"), content_type=content_type)
        httpserver.expect_request("/racing/events/race-1").respond_with_handler(lambda _: reply)

    answer("application/json; charset=ISO-8859-1")
    assert poll(1).state == "ok"
    assert Race.objects.get().runners.get().name == "Café Inventé"
    answer("application/json")
    assert poll(2).state == "ok"
    assert (Race.objects.get().runners.get().name, Race.objects.get().left_out) == (
        "Caf\ufffd Invent\ufffd", {"characters": 2},
    )  # fmt: skip


def test_a_name_with_a_newline_is_one_line(server: Server) -> None:
    server.card = meetings(race(1, name="Plate\nERROR forged"), name="Invented\r\nPark\x1b")
    run()
    found = Race.objects.select_related("meeting").get()
    assert found.meeting is not None
    assert (found.name, found.meeting.name) == ("Plate ERROR forged", "Invented  Park")
