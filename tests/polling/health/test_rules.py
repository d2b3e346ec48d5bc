"""How polling and the sync stand, judged from facts: a table of states, and what each keeps from being polled."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from polling.health import rules as health
from polling.health.facts import Counted, Facts, SyncFacts
from polling.health.rules import Item, Level, Subject
from polling.models import Heartbeat, Incident, PollingSwitch, ProviderState, Tick
from tests.factories import START as NOW

LIMIT = timedelta(seconds=37.5)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
WELL = Facts(
    overdue_after=LIMIT,
    providers=("sandbox",),
    heartbeat=Heartbeat(at=NOW - 4 * SECOND),
    newest_tick=Tick(started_at=NOW - 4 * SECOND),
    provider_states=[ProviderState(name="sandbox", last_import_at=NOW - 3 * MINUTE)],
    switch=PollingSwitch(paused=False, changed_at=NOW - 60 * MINUTE),
    sync=SyncFacts(configured=True, pulled_at=NOW - 5 * SECOND),
)


def facts(**changes: Any) -> Facts:
    return replace(WELL, **changes)


def sync(**changes: Any) -> Facts:
    return facts(sync=replace(WELL.sync, **changes))


def provider(**values: Any) -> ProviderState:
    return ProviderState(name="sandbox", **values)


def incident(kind: str, reason: str = "503") -> Incident:
    return Incident(provider="sandbox", kind=kind, began_at=NOW - 2 * MINUTE, reason=reason)


def item(found: Facts, subject: Subject) -> Item:
    [only] = [one for one in health.items(found, now=NOW) if one.subject is subject]
    return only


def test_what_is_well_is_shown_so_seven_times_and_with_an_instant() -> None:
    found = health.items(WELL, now=NOW)
    assert [one.subject for one in found] == list(Subject)
    assert {one.level for one in found} == {Level.WELL}
    assert [one.since or one.seen for one in found[:5]] == [
        NOW - 4 * SECOND, NOW - 4 * SECOND, NOW - 3 * MINUTE, NOW - 5 * SECOND, NOW - 60 * MINUTE,
    ]  # fmt: skip


DEAD = Heartbeat(at=NOW - 10 * MINUTE)
GONE = {"heartbeat": None, "newest_tick": None}
CASES: dict[str, tuple[Facts, Subject, Level, str]] = {
    "a tick at the limit": (facts(heartbeat=Heartbeat(at=NOW - LIMIT)), Subject.TICK, Level.WELL, "on time"),
    "a tick past it": (
        facts(heartbeat=Heartbeat(at=NOW - LIMIT - SECOND), newest_tick=None), Subject.TICK, Level.BAD, "overdue",
    ),
    "ticks that come late": (
        facts(heartbeat=Heartbeat(at=NOW, late_since=NOW - MINUTE)),
        Subject.TICK, Level.WARNING, "late, slot after slot",
    ),
    "asleep": (
        facts(heartbeat=Heartbeat(at=NOW, sleeping_until=NOW + MINUTE)), Subject.TICK, Level.WELL, "nothing due yet",
    ),
    "a tick that fails": (
        facts(heartbeat=DEAD, newest_tick=Tick(started_at=NOW, error="OperationalError")),
        Subject.TICK, Level.BAD, "failing",
    ),
    "its worker lives": (
        facts(heartbeat=DEAD, newest_tick=Tick(started_at=NOW, error="x")), Subject.WORKER, Level.WELL, "running",
    ),
    "a dead worker": (facts(heartbeat=DEAD, newest_tick=None), Subject.WORKER, Level.BAD, "not running"),
    "a clock set back": (facts(heartbeat=Heartbeat(at=NOW + MINUTE)), Subject.WORKER, Level.WELL, "running"),
    "just set up": (facts(**GONE, first_tick_at=NOW - health.STARTING), Subject.WORKER, Level.IDLE, "starting"),
    "never started": (
        facts(**GONE, first_tick_at=NOW - health.STARTING - SECOND), Subject.WORKER, Level.BAD, "none has been seen",
    ),
    "no schedule": (facts(**GONE), Subject.TICK, Level.BAD, "none has ended well"),
    "no worker begins polls": (
        facts(polls_not_begun=Counted(3, NOW - MINUTE), poll_begun_at=NOW - 2 * MINUTE),
        Subject.WORKER, Level.BAD, "begins no polls",
    ),
    "a worker that is behind": (
        facts(polls_not_begun=Counted(1, NOW - MINUTE), poll_begun_at=NOW), Subject.WORKER, Level.WARNING, "behind",
    ),
    "no provider named": (facts(providers=()), Subject.PROVIDER, Level.BAD, "none is named"),
    "a provider not asked yet": (facts(provider_states=[]), Subject.PROVIDER, Level.IDLE, "not asked yet"),
    "an open breaker": (
        facts(provider_states=[provider(breaker="open")], incidents=[incident("failing")]),
        Subject.PROVIDER, Level.BAD, "failing, left alone",
    ),
    "a half-open one": (
        facts(provider_states=[provider(breaker="half_open")], incidents=[incident("blocked")]),
        Subject.PROVIDER, Level.BAD, "blocked, left alone",
    ),
    "a 429": (
        facts(provider_states=[provider(not_before=NOW + MINUTE)]),
        Subject.PROVIDER, Level.WARNING, "asked us to wait until 03:01:00 UTC",
    ),
    "a 429 that is over": (facts(provider_states=[provider(not_before=NOW)]), Subject.PROVIDER, Level.WELL, "answers"),
    "a card not read": (
        facts(provider_states=[provider(last_import_error="Malformed")]),
        Subject.PROVIDER, Level.WARNING, "card not read",
    ),
    "few tokens": (
        facts(provider_states=[provider(throttle_factor=2)]), Subject.PROVIDER, Level.WARNING, "one far slot in 2",
    ),
    "no Appwrite": (sync(configured=False), Subject.APPWRITE, Level.IDLE, "not configured"),
    "not read yet": (sync(pulled_at=None), Subject.APPWRITE, Level.IDLE, "not read yet"),
    "read long ago": (
        sync(pulled_at=NOW - health.STILL_READS - SECOND), Subject.APPWRITE, Level.WARNING, "not read",
    ),
    "a refused key": (sync(problems=["races: 401"]), Subject.APPWRITE, Level.BAD, "needs attention"),
    "unmatched rows": (sync(unmatched_rows=Counted(1, NOW)), Subject.APPWRITE, Level.BAD, "1 unmatched row"),
    "conflicts": (sync(conflicts=Counted(2, NOW)), Subject.CONFLICTS, Level.BAD, "2 open"),
    "an incident": (facts(incidents=[incident("blocked")]), Subject.INCIDENTS, Level.BAD, "1 open"),
    "a dispute": (facts(incidents=[incident("disputed")] * 2), Subject.INCIDENTS, Level.BAD, "2 open"),
    "a shortage": (facts(incidents=[incident("throttled")]), Subject.INCIDENTS, Level.WARNING, "1 open"),
    "a pause": (facts(switch=PollingSwitch(paused=True)), Subject.SWITCH, Level.BAD, "paused"),
    "no switch yet": (facts(switch=None), Subject.SWITCH, Level.WELL, "on"),
}  # fmt: skip


@pytest.mark.parametrize(("found", "subject", "level", "words"), CASES.values(), ids=CASES)
def test_each_state_has_its_level_and_its_words(found: Facts, subject: Subject, level: Level, words: str) -> None:
    judged = item(found, subject)
    assert (judged.level, judged.words) == (level, words)


def test_what_began_says_since_when() -> None:
    assert item(facts(heartbeat=DEAD, newest_tick=None), Subject.WORKER).since == DEAD.at
    failing = facts(provider_states=[provider(breaker="open")], incidents=[incident("failing")])
    assert item(failing, Subject.PROVIDER).since == item(failing, Subject.INCIDENTS).since == NOW - 2 * MINUTE
    assert item(sync(conflicts=Counted(2, NOW - MINUTE)), Subject.CONFLICTS).since == NOW - MINUTE


PAUSE = PollingSwitch(paused=True, reason="maintenance", changed_at=NOW - MINUTE, changed_by="ann")
PAUSED_WORDS = "All polling is paused since 2026-11-23 02:59:00 UTC, by ann: maintenance."
DEAD_WORDS = "No worker begins polls since 2026-11-23 02:50:00 UTC, is manage.py qcluster running?"
OPEN_WORDS = (
    "sandbox: failing, left alone since 2026-11-23 02:58:00 UTC, 503. "
    "One request is let through to find out whether it answers again."
)
OBSTACLES: dict[str, tuple[Facts, str, list[str]]] = {
    "none": (WELL, "sandbox", []),
    "a pause": (facts(switch=PAUSE), "sandbox", [PAUSED_WORDS]),
    "a dead worker": (facts(heartbeat=DEAD, newest_tick=None), "sandbox", [DEAD_WORDS]),
    "an open breaker": (
        facts(provider_states=[provider(breaker="open")], incidents=[incident("failing")]), "sandbox", [OPEN_WORDS],
    ),
    "a 429": (
        facts(provider_states=[provider(not_before=NOW + MINUTE)]), "sandbox",
        ["sandbox: asked us to wait until 03:01:00 UTC."],
    ),
    "few tokens": (facts(provider_states=[provider(throttle_factor=2)]), "sandbox", []),
    "another provider": (WELL, "elsewhere", ["elsewhere is not a configured provider."]),
    "a race made by hand": (WELL, "", ["A race made by hand has no provider to ask."]),
    "all at once": (
        facts(switch=PAUSE, heartbeat=DEAD, newest_tick=None), "sandbox", [PAUSED_WORDS, DEAD_WORDS],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("found", "asked", "sentences"), OBSTACLES.values(), ids=OBSTACLES)
def test_what_keeps_a_poll_from_being_made_is_a_sentence_each(found: Facts, asked: str, sentences: list[str]) -> None:
    assert health.obstacles(found, [asked], now=NOW) == sentences


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (WELL, ""),
        (facts(switch=PAUSE, heartbeat=DEAD, newest_tick=None), "all polling is paused"),
        (facts(heartbeat=DEAD, newest_tick=None), "no worker begins polls"),
        (facts(heartbeat=DEAD, newest_tick=Tick(started_at=NOW, error="x")), "ticks are failing"),
        (facts(provider_states=[provider(breaker="open")]), ""),
        (facts(**GONE, first_tick_at=NOW), ""),
    ],
)
def test_nothing_is_polled_while_paused_or_without_a_worker(found: Facts, words: str) -> None:
    assert health.nothing_polled(found, now=NOW) == words
