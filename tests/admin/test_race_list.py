"""What the race list says, in which order, and what its filters and its search find."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from polling.models import PollingSwitch, PollState, ProviderState, SkipReason
from polling.planning import default_cadence
from races.models import Race
from races.status import FinalizedBy, RaceStatus
from tests.factories import START, make_log, make_meeting, make_race

pytestmark = pytest.mark.django_db

NOW = START - timedelta(minutes=4, seconds=10)
LIST = reverse("admin:races_race_changelist")
ENDED: dict[str, Any] = {
    "status": RaceStatus.FINALIZED.value,
    "finalized_by": FinalizedBy.PROVIDER.value,
    "finalized_at": START,
}


@pytest.fixture(autouse=True)
def at_now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def listed(client: Client, **query: str) -> list[Race]:
    """The races of the list, in its order."""
    response = client.get(LIST, query)
    assert response.status_code == 200, response.headers
    return list(response.context["cl"].result_list)


def page(client: Client) -> str:
    return client.get(LIST).content.decode()


def test_a_race_is_shown_with_its_window_its_start_and_its_next_poll(admin_client: Client) -> None:
    make_race(next_poll_at=NOW + timedelta(seconds=10), last_poll_time=NOW - timedelta(seconds=5))
    html = page(admin_client)
    assert "T-5, every 15 s" in html
    assert "in 4 min 10 s" in html
    assert "in 10 s" in html
    assert "5 s ago" in html
    assert 'title="2026-11-23 03:00:00 UTC">23 Nov 16:00 NZDT<' in html
    assert "moved from" not in html


def test_a_name_carries_the_day_where_it_is_not_today_at_the_track(admin_client: Client) -> None:
    for days in (0, 1):
        day = START.date() + timedelta(days=days)
        make_race(
            meeting=make_meeting(name="Karewa Downs", racing_day=day), number=2, start=START + timedelta(days=days)
        )
    html = page(admin_client)
    assert html.count("Karewa Downs R2 <") == 1
    assert html.count("Karewa Downs R2, 24 Nov <") == 1


def test_a_moved_start_says_from_when(admin_client: Client) -> None:
    race = make_race(original_advertised_start=START - timedelta(minutes=7))
    assert race.advertised_start != race.original_advertised_start
    html = page(admin_client)
    assert "moved from" in html
    assert ">15:53<" in html


def test_the_abbreviation_follows_the_track_into_winter_time(admin_client: Client) -> None:
    make_race(start=START - timedelta(days=150))
    assert "15:00 NZST" in page(admin_client)


def test_a_race_without_a_meeting_is_shown_in_utc(admin_client: Client) -> None:
    make_race(meeting=None)
    assert "23 Nov 03:00 UTC" in page(admin_client)


def test_a_race_that_is_not_polled_has_no_window(admin_client: Client) -> None:
    make_race(polling_paused=True)
    html = page(admin_client)
    assert "every 15 s" not in html
    assert '<span class="rp-badge rp-warning">paused</span>' in html


def test_a_race_that_is_late_is_shown_to_keep_its_last_step(admin_client: Client, settings: Any) -> None:
    settings.POLL_HOLD = timedelta(minutes=5)
    default_cadence.cache_clear()
    try:
        make_race(start=NOW - timedelta(minutes=1), next_poll_at=NOW + timedelta(seconds=10))
        make_race(start=NOW - timedelta(minutes=1), next_poll_at=NOW + timedelta(minutes=4), status="in_progress")
        html = page(admin_client)
    finally:
        default_cadence.cache_clear()
    assert html.count("T-5, every 15 s") == 1
    assert html.count("start, every 5 min") == 1


def test_a_race_of_a_provider_short_of_tokens_is_shown_with_its_throttled_step(admin_client: Client) -> None:
    ProviderState.objects.create(name="sandbox", throttle_factor=2)
    make_race(start=NOW + timedelta(minutes=30), next_poll_at=NOW + timedelta(minutes=5))
    assert "T-60, every 10 min" in page(admin_client)


def test_a_result_that_is_looked_at_again_says_so(admin_client: Client) -> None:
    make_race(next_poll_at=NOW + timedelta(minutes=15), **ENDED)
    assert "recheck of the result" in page(admin_client)


def test_a_race_without_an_end_and_one_with_a_protest_are_shown_in_words(admin_client: Client) -> None:
    make_race(escalation="late", status="in_progress")
    make_race(protest=True, status="in_progress")
    html = page(admin_client)
    assert '<span class="rp-badge rp-bad">no end, late</span>' in html
    assert '<span class="rp-badge rp-warning">protest</span>' in html


def test_a_race_far_off_is_shown_to_be_before_its_first_window(admin_client: Client) -> None:
    make_race(start=NOW + timedelta(hours=3), next_poll_at=NOW + timedelta(hours=2))
    assert "before T-60" in page(admin_client)


def test_a_poll_whose_time_has_come_is_due(admin_client: Client) -> None:
    make_race(next_poll_at=NOW)
    assert ">due<" in page(admin_client)


@pytest.mark.parametrize(
    ("state", "values", "words"),
    [
        (PollState.OK, {}, "ok"),
        (PollState.FAILED, {"error_class": "Malformed"}, "failed Malformed"),
        (PollState.SKIPPED, {"reason": SkipReason.QUOTA.value}, "skipped quota"),
        (PollState.MISSED, {}, "missed"),
        (PollState.LOST, {"error_class": "Lost"}, "lost"),
        (PollState.RUNNING, {}, "running"),
    ],
    ids=lambda value: str(value),
)
def test_the_outcome_is_that_of_the_newest_log(
    admin_client: Client, state: PollState, values: dict[str, Any], words: str
) -> None:
    race = make_race()
    make_log(race, slot_at=NOW, state=state, **values)
    make_log(
        race, slot_at=NOW - timedelta(minutes=1), state=PollState.CLAIMED if state is PollState.OK else PollState.OK
    )
    assert f">{words}</span>" in page(admin_client)


def test_the_nearest_start_comes_first_and_what_has_ended_last(admin_client: Client) -> None:
    far = make_race(start=NOW + timedelta(hours=2))
    past = make_race(start=NOW - timedelta(minutes=3), status=RaceStatus.IN_PROGRESS.value)
    near = make_race(start=NOW + timedelta(minutes=1))
    ended_early = make_race(start=NOW - timedelta(hours=2), **ENDED)
    ended_late = make_race(start=NOW - timedelta(seconds=30), **ENDED)
    assert listed(admin_client) == [near, past, far, ended_late, ended_early]


@pytest.mark.parametrize(
    ("window", "offsets"),
    [
        ("hour", [0, 60]),
        ("hours", [-60, -1, 0, 60, 180]),
        ("day", [-720, -61, -60, -1, 0, 60, 180, 720]),
        ("overdue", [-721, -720, -61, -60, -1, 0]),
    ],
)
def test_the_start_filter_looks_around_now(admin_client: Client, window: str, offsets: list[int]) -> None:
    for minutes in (-721, -720, -61, -60, -1, 0, 60, 180, 720, 721):
        make_race(start=NOW + timedelta(minutes=minutes), number=abs(minutes))
    make_race(start=NOW - timedelta(days=2), **ENDED)
    found = {minutes_off(race.advertised_start) for race in listed(admin_client, start=window)}
    assert found == set(offsets)


def minutes_off(start: datetime) -> int:
    return round((start - NOW) / timedelta(minutes=1))


@pytest.mark.parametrize(
    "query",
    [
        {"status__exact": "finalized"},
        {"meeting__code": "greyhound"},
        {"meeting__country": "AU"},
        {"polling_paused__exact": "1"},
        {"q": "Sandown"},
        {"q": "Maiden"},
        {"q": "abc-1"},
        {"advertised_start__year": "2024"},
    ],
    ids=str,
)
def test_filters_and_search_find_the_one(admin_client: Client, query: dict[str, str]) -> None:
    make_race()
    sought = make_race(
        start=START.replace(year=2024),
        meeting=make_meeting(name="Sandown", country="AU", code="greyhound"),
        name="Maiden Stakes",
        provider_race_id="abc-123",
        polling_paused=True,
        **ENDED,
    )
    assert listed(admin_client, **query) == [sought]


def test_list_and_page_say_that_all_polling_is_paused(admin_client: Client) -> None:
    for path in (LIST, reverse("admin:races_race_change", args=[make_race().pk])):
        PollingSwitch.objects.update_or_create(pk=1, defaults={"paused": False, "reason": "provider maintenance"})
        assert "All polling is paused" not in admin_client.get(path).content.decode()
        PollingSwitch.objects.update(paused=True)
        html = admin_client.get(path).content.decode()
        assert "All polling is paused" in html
        assert "provider maintenance" in html


def test_a_name_from_a_provider_is_escaped(admin_client: Client) -> None:
    make_race(name="<script>alert(1)</script>")
    assert "<script>alert" not in page(admin_client)


def test_races_are_neither_added_nor_deleted_by_hand(admin_client: Client) -> None:
    race = make_race()
    assert admin_client.get(reverse("admin:races_race_add")).status_code == 403
    assert admin_client.post(reverse("admin:races_race_delete", args=[race.pk]), {"post": "yes"}).status_code == 403
    response = admin_client.post(LIST, {"action": "delete_selected", "_selected_action": race.pk, "post": "yes"})
    assert [str(message) for message in get_messages(response.wsgi_request)] == ["No action selected."]
    assert Race.objects.filter(pk=race.pk).exists()
