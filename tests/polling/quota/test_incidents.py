"""Incidents of providers: one row and one message when they begin, one message when they end."""

import logging
from datetime import timedelta

import pytest

from polling.models import Incident, IncidentKind
from polling.quota import incidents
from tests.factories import START

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        (IncidentKind.FAILING, logging.ERROR),
        (IncidentKind.BLOCKED, logging.ERROR),
        (IncidentKind.LIMITED, logging.WARNING),
        (IncidentKind.THROTTLED, logging.WARNING),
    ],
)
def test_an_incident_is_opened_and_logged_once_however_often_it_is_seen(
    kind: IncidentKind, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    for minutes in range(3):
        incidents.begin("sandbox", kind, "503", now=START + minutes * MINUTE)
    [found] = Incident.objects.all()
    assert (found.began_at, found.ended_at, found.reason) == (START, None, "503")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (level, f"sandbox is {kind.value}: 503")
    ]


def test_only_open_incidents_of_the_named_kinds_are_closed(caplog: pytest.LogCaptureFixture) -> None:
    for provider, kind in (
        ("sandbox", IncidentKind.FAILING),
        ("sandbox", IncidentKind.THROTTLED),
        ("other", IncidentKind.FAILING),
    ):
        incidents.begin(provider, kind, "503", now=START)
    caplog.clear()
    for minutes in (2, 3):
        incidents.end("sandbox", [IncidentKind.FAILING, IncidentKind.LIMITED], now=START + minutes * MINUTE)
    ended = Incident.objects.exclude(ended_at=None)
    assert [(incident.provider, incident.kind, incident.ended_at) for incident in ended] == [
        ("sandbox", "failing", START + 2 * MINUTE)
    ]
    assert [record.getMessage() for record in caplog.records] == ["sandbox is no longer failing, after 0:02:00"]
    incidents.begin("sandbox", IncidentKind.FAILING, "503 again", now=START + 5 * MINUTE)
    assert Incident.objects.filter(ended_at=None, provider="sandbox").count() == 2
