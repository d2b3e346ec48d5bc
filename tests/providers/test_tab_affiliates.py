"""The adapter against a local server that answers as the provider does."""

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from polling.errors import Blocked, Malformed, NotFound, PollingError, RateLimited, Unavailable
from polling.http.json_client import HttpClient
from polling.providers.base import Provider, RaceRef
from polling.providers.tab_affiliates import TabAffiliates
from polling.request_policy import BatchScope
from races.snapshots import RaceSnapshot, Scope
from races.status import RaceStatus
from tests.providers.payloads import NOW, NZ_MEETING, OHIO_MEETING, QLD_MEETING, fixture, race_id

HOUR = timedelta(hours=1)
MEETINGS, EVENTS = "/racing/meetings", "/racing/events/"


def soon(seconds: float = 10) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def tab(httpserver: HTTPServer) -> TabAffiliates:
    return TabAffiliates("tab", HttpClient(httpserver.url_for(""), headers={}))


def asked(httpserver: HTTPServer) -> list[dict[str, str]]:
    return [request.args.to_dict() for request, _ in httpserver.log]


def test_it_is_a_provider_with_statuses_in_bulk_and_is_asked_every_15_seconds_at_most(tab: TabAffiliates) -> None:
    provider: Provider = tab
    assert provider.name == "tab"
    assert provider.capabilities.batch_scope is BatchScope.STATUS
    assert provider.capabilities.max_batch == 20
    assert provider.capabilities.min_interval == timedelta(seconds=15)


# --- the schedule ---


def test_the_schedule_is_the_card_between_two_instants(httpserver: HTTPServer, tab: TabAffiliates) -> None:
    httpserver.expect_request(MEETINGS).respond_with_json(fixture("meetings"))
    since, until = datetime(2026, 11, 23, 0, 10, tzinfo=UTC), datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    schedule = tab.fetch_schedule(since, until, now=NOW, deadline=soon())
    assert {race.provider_race_id for race in schedule.races} == {race_id(n) for n in (1, 2, 3, 4, 5)}
    assert {race.scope for race in schedule.races} == {Scope.STATUS}
    assert schedule.skipped == 1


@pytest.mark.parametrize(
    ("since", "until", "date_from", "date_to"),
    [
        pytest.param(NOW - 12 * HOUR, NOW + 36 * HOUR, "2026-11-22", "2026-11-25", id="the import's window"),
        pytest.param(NOW, NOW, "2026-11-22", "2026-11-23", id="an instant in the UTC morning"),
        pytest.param(
            NOW + 12 * HOUR, NOW + 12 * HOUR, "2026-11-23", "2026-11-24", id="an instant in the UTC afternoon"
        ),
    ],
)
def test_the_days_asked_for_cover_the_window_in_every_zone(
    httpserver: HTTPServer, tab: TabAffiliates, since: datetime, until: datetime, date_from: str, date_to: str
) -> None:
    httpserver.expect_request(MEETINGS).respond_with_json({"data": {}})
    tab.fetch_schedule(since, until, now=NOW, deadline=soon())
    assert asked(httpserver) == [{"date_from": date_from, "date_to": date_to, "limit": "200", "offset": "0"}]


def meeting(number: int) -> dict[str, Any]:
    race = {"id": f"race-{number}", "race_number": 1, "start_time": "2026-11-23T03:30:00Z", "status": "Open"}
    return {"meeting": f"meeting-{number}", "name": f"Track {number}", "races": [race]}


def paged(
    total: int,
    *,
    cap: int = 200,
    echoes: bool = True,
    echo_asked: bool = False,
    heeds_offset: bool = True,
    withheld: int | None = None,
    past_the_end: int = 200,
) -> Callable[[Request], Response]:
    """A provider of so many meetings that gives at most `cap` at once."""

    def answer(request: Request) -> Response:
        limit = min(int(request.args["limit"]), cap)
        offset = int(request.args["offset"]) if heeds_offset else 0
        meetings = [meeting(number) for number in range(total)][offset : offset + limit]
        params = {"limit": 200 if echo_asked else limit, "offset": offset} if echoes else {}
        meetings = [row for row in meetings if withheld is None or row["meeting"] != f"meeting-{withheld}"]
        if not meetings and offset and past_the_end != 200:
            return Response("", past_the_end)
        return Response(json.dumps({"params": params, "data": {"meetings": meetings}}))

    return answer


@pytest.mark.parametrize(
    ("answer", "total", "requests"),
    [
        pytest.param(paged(0), 0, 1, id="an empty card"),
        pytest.param(paged(199), 199, 2, id="less than a page"),
        pytest.param(paged(200), 200, 2, id="a full page"),
        pytest.param(paged(450), 450, 4, id="three pages"),
        pytest.param(paged(250, cap=100), 250, 4, id="smaller pages than asked for"),
        pytest.param(paged(250, cap=100, echoes=False), 250, 4, id="a silent cap"),
        pytest.param(paged(250, cap=100, echo_asked=True), 250, 4, id="a cap that echoes what was asked"),
        pytest.param(paged(250, withheld=50), 249, 3, id="a page shorter than it should be"),
        pytest.param(paged(250, past_the_end=400), 250, 3, id="an error behind the last page"),
        pytest.param(paged(450, echoes=False), 450, 4, id="no echo"),
        pytest.param(paged(450, heeds_offset=False), 200, 2, id="an offset that is ignored"),
    ],
)
def test_pages_are_asked_for_until_there_are_no_more(
    httpserver: HTTPServer, tab: TabAffiliates, answer: Callable[[Request], Response], total: int, requests: int
) -> None:
    httpserver.expect_request(MEETINGS).respond_with_handler(answer)
    schedule = tab.fetch_schedule(NOW, NOW + HOUR, now=NOW, deadline=soon())
    assert (len(schedule.races), len(httpserver.log)) == (total, requests)


@pytest.mark.parametrize(
    ("echoed", "warned"),
    [
        ("2026-11-22T00:00:00Z", False),
        ("2026-11-21T11:00:00Z", False),
        (None, False),
        ("2026-11-24T03:00:00Z", True),
    ],
)
def test_a_provider_that_took_other_days_is_warned_of(
    httpserver: HTTPServer, tab: TabAffiliates, caplog: pytest.LogCaptureFixture, echoed: str | None, warned: bool
) -> None:
    httpserver.expect_request(MEETINGS).respond_with_json({"params": {"date_from": echoed}, "data": {}})
    with caplog.at_level(logging.WARNING, "polling"):
        tab.fetch_schedule(NOW, NOW, now=NOW, deadline=soon())
    assert [record.getMessage() for record in caplog.records] == (
        ["tab: asked for cards from 2026-11-22, got those from 2026-11-24"] if warned else []
    )


def test_a_schedule_that_fails_on_its_second_page_fails_whole(httpserver: HTTPServer, tab: TabAffiliates) -> None:
    httpserver.expect_ordered_request(MEETINGS).respond_with_handler(paged(450))
    httpserver.expect_ordered_request(MEETINGS).respond_with_data("", status=503)
    with pytest.raises(Unavailable):
        tab.fetch_schedule(NOW, NOW + HOUR, now=NOW, deadline=soon())


def test_a_second_page_that_reports_an_error_is_no_end_of_the_card(httpserver: HTTPServer, tab: TabAffiliates) -> None:
    httpserver.expect_ordered_request(MEETINGS).respond_with_handler(paged(450))
    httpserver.expect_ordered_request(MEETINGS).respond_with_json({"header": {"error": "timeout"}, "data": {}})
    with pytest.raises(Unavailable, match="timeout"):
        tab.fetch_schedule(NOW, NOW + HOUR, now=NOW, deadline=soon())


def test_a_card_lists_the_races_of_all_its_pages_whatever_their_starts(
    httpserver: HTTPServer, tab: TabAffiliates
) -> None:
    httpserver.expect_request(MEETINGS).respond_with_handler(paged(250, cap=100))
    card = tab.fetch_schedule(NOW + 12 * HOUR, NOW + 13 * HOUR, now=NOW, deadline=soon())
    assert card.races == []
    assert set(card.listed_ids or ()) == {f"race-{number}" for number in range(250)}


# --- statuses ---


def test_statuses_are_one_request_for_the_meetings_and_only_of_the_races_asked_for(
    httpserver: HTTPServer, tab: TabAffiliates
) -> None:
    httpserver.expect_request(MEETINGS).respond_with_json(fixture("meetings"))
    refs = [RaceRef(race_id(5), QLD_MEETING), RaceRef(race_id(1), NZ_MEETING), RaceRef(race_id(3), NZ_MEETING)]
    statuses = tab.fetch_statuses(iter(refs), now=NOW, deadline=soon())
    assert {key: race.status for key, race in statuses.items()} == {
        race_id(1): RaceStatus.FINALIZED,
        race_id(3): RaceStatus.IN_PROGRESS,
        race_id(5): RaceStatus.SCHEDULED,
    }
    assert asked(httpserver) == [{"ids": f"{NZ_MEETING},{QLD_MEETING}"}]


def test_a_race_that_the_provider_leaves_out_is_absent(httpserver: HTTPServer, tab: TabAffiliates) -> None:
    httpserver.expect_request(MEETINGS).respond_with_json(fixture("meetings"))
    assert tab.fetch_statuses([RaceRef("gone", NZ_MEETING)], now=NOW, deadline=soon()) == {}


def test_a_race_without_a_status_is_absent_and_one_with_an_unknown_status_is_not(
    httpserver: HTTPServer, tab: TabAffiliates
) -> None:
    httpserver.expect_request(MEETINGS).respond_with_json(fixture("meetings"))
    refs = [RaceRef(race_id(8), OHIO_MEETING), RaceRef(race_id(7), QLD_MEETING)]
    statuses = tab.fetch_statuses(refs, now=NOW, deadline=soon())
    assert {key: race.unknown_status for key, race in statuses.items()} == {race_id(7): "Parading"}


def test_races_whose_meeting_is_not_known_are_looked_for_on_the_card_around_now(
    httpserver: HTTPServer, tab: TabAffiliates
) -> None:
    httpserver.expect_request(MEETINGS).respond_with_json(fixture("meetings"))
    statuses = tab.fetch_statuses([RaceRef(race_id(4))], now=NOW, deadline=soon())
    assert set(statuses) == {race_id(4)}
    days = {"date_from": "2026-11-22", "date_to": "2026-11-24"}
    assert asked(httpserver) == [{**days, "limit": "200", "offset": offset} for offset in ("0", "3")]


def test_nothing_asked_for_is_no_request(httpserver: HTTPServer, tab: TabAffiliates) -> None:
    assert tab.fetch_statuses([], now=NOW, deadline=soon()) == {}
    assert tab.fetch_races([], now=NOW, deadline=soon()) == {}
    assert httpserver.log == []


@pytest.mark.parametrize(
    ("status", "expected"), [(403, Blocked), (404, NotFound), (429, RateLimited), (500, Unavailable), (400, Malformed)]
)
def test_a_status_request_that_fails_is_an_error(
    httpserver: HTTPServer, tab: TabAffiliates, status: int, expected: type[PollingError]
) -> None:
    httpserver.expect_request(MEETINGS).respond_with_data("", status=status)
    with pytest.raises(expected):
        tab.fetch_statuses([RaceRef(race_id(1), NZ_MEETING)], now=NOW, deadline=soon())


# --- details ---


def event(wanted: str) -> dict[str, Any]:
    payload: dict[str, Any] = fixture("event_open")
    payload["data"]["race"]["event_id"] = wanted
    return payload


def test_details_are_a_snapshot_or_an_error_for_each_race(httpserver: HTTPServer, tab: TabAffiliates) -> None:
    httpserver.expect_request(EVENTS + "good").respond_with_json(event("good"))
    httpserver.expect_request(EVENTS + "other").respond_with_json(event("good"))
    httpserver.expect_request(EVENTS + "html").respond_with_data("<html>")
    httpserver.expect_request(EVENTS + "shapeless").respond_with_json({"data": {"race": []}})
    httpserver.expect_request(EVENTS + "gone").respond_with_data("", status=404)
    httpserver.expect_request(EVENTS + "fast").respond_with_data("", status=429, headers={"Retry-After": "9"})
    wanted = ["good", "other", "html", "shapeless", "gone", "fast"]
    answers = tab.fetch_races([RaceRef(key) for key in [*wanted, "good"]], now=NOW, deadline=soon())
    assert {key: type(answer) for key, answer in answers.items()} == {
        "good": RaceSnapshot,
        "other": Malformed,
        "html": Malformed,
        "shapeless": Malformed,
        "gone": NotFound,
        "fast": RateLimited,
    }
    assert {getattr(answer, "http_status", 200) for answer in answers.values()} == {200, 404, 429}
    assert len(httpserver.log) == 6


def test_a_detail_is_whole_and_says_when_it_was_observed(httpserver: HTTPServer, tab: TabAffiliates) -> None:
    httpserver.expect_request(EVENTS + race_id(4)).respond_with_json(fixture("event_open"))
    answer = tab.fetch_races([RaceRef(race_id(4), NZ_MEETING)], now=NOW, deadline=soon())[race_id(4)]
    assert isinstance(answer, RaceSnapshot)
    assert (answer.provider, answer.scope, answer.observed_at) == ("tab", Scope.FULL, NOW)
    assert len(answer.runners or ()) == 4
    assert asked(httpserver) == [{}]


def test_an_id_is_only_ever_one_segment_of_the_path(httpserver: HTTPServer, tab: TabAffiliates) -> None:
    httpserver.expect_request(MEETINGS).respond_with_json(fixture("meetings"))
    answers = tab.fetch_races([RaceRef("../meetings?x=#")], now=NOW, deadline=soon())
    assert [request.path for request, _ in httpserver.log] == ["/racing/events/../meetings?x=#"]
    assert isinstance(answers["../meetings?x=#"], PollingError)


class Gate:
    """Answers nobody until so many requests have come in: only a client that asks at once gets through."""

    def __init__(self, count: int) -> None:
        self._barrier = threading.Barrier(count)
        self.asked_at: list[float] = []

    def __call__(self, request: Request) -> Response:
        self.asked_at.append(time.monotonic())
        self._barrier.wait(timeout=8)
        return Response(json.dumps(event(request.path.removeprefix(EVENTS))))


@pytest.fixture
def busy_tab() -> Any:
    """An adapter whose server answers requests side by side."""
    with HTTPServer("127.0.0.1", 0, threaded=True) as server:
        yield server, TabAffiliates("tab", HttpClient(server.url_for(""), headers={}))


def test_twenty_races_are_asked_for_at_once(busy_tab: tuple[HTTPServer, TabAffiliates]) -> None:
    server, tab = busy_tab
    gate = Gate(20)
    for number in range(20):
        server.expect_request(f"{EVENTS}r{number}").respond_with_handler(gate)
    answers = tab.fetch_races([RaceRef(f"r{number}") for number in range(20)], now=NOW, deadline=soon())
    assert {type(answer) for answer in answers.values()} == {RaceSnapshot}
    assert len(gate.asked_at) == 20


def test_one_race_alone_starts_no_thread(httpserver: HTTPServer, tab: TabAffiliates) -> None:
    httpserver.expect_request(EVENTS + "one").respond_with_json(event("one"))
    started: list[threading.Thread] = []
    threading.setprofile(lambda *_: started.append(threading.current_thread()))
    try:
        tab.fetch_races([RaceRef("one")], now=NOW, deadline=soon())
    finally:
        threading.setprofile(None)
    assert not [thread for thread in started if thread.name.startswith("tab")]


def test_a_race_that_does_not_answer_costs_the_others_nothing(busy_tab: tuple[HTTPServer, TabAffiliates]) -> None:
    server, tab = busy_tab
    released = threading.Event()

    def stall(request: Request) -> Response:
        released.wait(30)
        return Response("{}")

    server.expect_request(EVENTS + "stuck").respond_with_handler(stall)
    server.expect_request(EVENTS + "good").respond_with_json(event("good"))
    began = time.monotonic()
    try:
        answers = tab.fetch_races([RaceRef("stuck"), RaceRef("good")], now=NOW, deadline=began + 1)
        took = time.monotonic() - began
    finally:
        released.set()
    assert {key: type(answer) for key, answer in answers.items()} == {"stuck": Unavailable, "good": RaceSnapshot}
    assert took < 10  # the other race stalls for 30 s


class Broken(HttpClient):
    """A client with a fault of its own for one race."""

    def get_json(self, path: str, params: Any, *, deadline: float) -> Any:
        if path.endswith("bad"):
            raise ZeroDivisionError("our own fault")
        return event(path.removeprefix(EVENTS))


def test_a_fault_of_our_own_in_one_race_is_logged_and_costs_the_others_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tab = TabAffiliates("tab", Broken("http://127.0.0.1:9", headers={}))
    answers = tab.fetch_races([RaceRef("bad"), RaceRef("good")], now=NOW, deadline=soon())
    assert {key: type(answer) for key, answer in answers.items()} == {"bad": Malformed, "good": RaceSnapshot}
    assert str(answers["bad"]) == "race bad could not be read: ZeroDivisionError"
    (record,) = caplog.records
    assert record.exc_info is not None
