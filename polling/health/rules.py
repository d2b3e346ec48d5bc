"""How polling and the sync stand, judged from facts alone: the rules that all pages of the admin share."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from polling.health.facts import Facts
from polling.models import BreakerState, Incident, IncidentKind, ProviderState
from polling.monitoring import heartbeat
from polling.monitoring.heartbeat import Condition

STARTING = timedelta(minutes=2)  # a worker that has just been started need not have ticked yet
STILL_READS = timedelta(minutes=2)  # Appwrite is read every 15 s; many rows take their time
ACUTE = (IncidentKind.FAILING, IncidentKind.BLOCKED, IncidentKind.DISPUTED)  # logged as errors when they begin
ASK = "is manage.py qcluster running?"


class Level(StrEnum):
    """How good or bad something is. Idle is neither: there is nothing to judge."""

    WELL = "well"
    IDLE = "idle"
    WARNING = "warning"
    BAD = "bad"


class Subject(StrEnum):
    """What an item is about."""

    TICK = "Last tick"
    WORKER = "Worker"
    PROVIDER = "Provider"
    APPWRITE = "Appwrite"
    SWITCH = "Polling"
    INCIDENTS = "Incidents"
    CONFLICTS = "Conflicts"


@dataclass(frozen=True, slots=True)
class Item:
    """One judgement, in words. `since` is when this state began, `seen` the newest evidence of it.

    `detail` may quote what a provider, Appwrite or staff wrote.
    """

    subject: Subject
    level: Level
    words: str
    since: datetime | None = None
    seen: datetime | None = None
    detail: str = ""
    name: str = ""

    @property
    def title(self) -> str:
        """What it is called: a provider by its name."""
        return self.name or self.subject.value


def items(facts: Facts, *, now: datetime) -> list[Item]:
    """Every judgement, in the order in which staff look for the cause of something."""
    return [
        last_tick(facts, now=now),
        worker(facts, now=now),
        *providers(facts, now=now),
        appwrite(facts, now=now),
        switch(facts),
        incidents(facts),
        conflicts(facts),
    ]


# --- the worker and its tick ------------------------------------------------------------------------------------------


def last_tick(facts: Facts, *, now: datetime) -> Item:
    """When a tick last ended well."""
    last, tick = facts.heartbeat, facts.newest_tick
    condition = heartbeat.condition(last, limit=facts.overdue_after, now=now)
    if last and condition is Condition.LATE:
        return Item(Subject.TICK, Level.WARNING, "late, slot after slot", since=last.late_since)
    if last and condition is Condition.ON_TIME:
        asleep = last.sleeping_until and last.sleeping_until > now
        return Item(Subject.TICK, Level.WELL, "nothing due yet" if asleep else "on time", seen=last.at)
    error = tick.error if tick and not (last and tick.started_at <= last.at) else ""
    if error:
        return Item(Subject.TICK, Level.BAD, "failing", since=last.at if last else None, detail=error)
    if last:
        return Item(Subject.TICK, Level.BAD, "overdue", since=last.at)
    return _judge_before_first_tick(Subject.TICK, "none has ended well", facts, now=now)


def worker(facts: Facts, *, now: datetime) -> Item:
    """Whether a worker lives, which its ticks show, and begins the polls that are claimed."""
    last, tick = facts.heartbeat, facts.newest_tick
    seen = max((at for at in (last and last.at, tick and tick.started_at) if at), default=None)
    if seen is None:
        return _judge_before_first_tick(Subject.WORKER, "none has been seen", facts, now=now)
    if now - seen > facts.overdue_after:
        return Item(Subject.WORKER, Level.BAD, "not running", since=seen, detail=ASK)
    late = facts.polls_not_begun
    if not late.number or late.since is None:
        return Item(Subject.WORKER, Level.WELL, "running", seen=seen)
    polls = f"{_count_words(late.number, 'poll')} not begun in time"
    if facts.poll_begun_at is None or facts.poll_begun_at < late.since:
        return Item(Subject.WORKER, Level.BAD, "begins no polls", since=late.since, detail=polls)
    return Item(Subject.WORKER, Level.WARNING, "behind", since=late.since, detail=polls)


def _judge_before_first_tick(subject: Subject, words: str, facts: Facts, *, now: datetime) -> Item:
    """Starting, or bad with `words` once the first tick should have ended well."""
    began = facts.newest_tick.started_at if facts.newest_tick else facts.first_tick_at
    if began is None:
        return Item(subject, Level.BAD, words, detail="the schedule is missing; run manage.py migrate")
    if now - began > (facts.overdue_after if facts.newest_tick else STARTING):
        return Item(subject, Level.BAD, words, since=began, detail=ASK)
    return Item(subject, Level.IDLE, "starting", since=began)


# --- providers --------------------------------------------------------------------------------------------------------


def providers(facts: Facts, *, now: datetime) -> list[Item]:
    """One item per configured provider."""
    if not facts.providers:
        return [Item(Subject.PROVIDER, Level.BAD, "none is named", detail="RACE_PROVIDERS is not set")]
    states = {state.name: state for state in facts.provider_states}
    return [_judge_provider(name, states.get(name), _incidents_of(facts, name), now=now) for name in facts.providers]


def _incidents_of(facts: Facts, provider: str) -> dict[str, Incident]:
    return {incident.kind: incident for incident in facts.incidents if incident.provider == provider}


def _judge_provider(name: str, state: ProviderState | None, found: dict[str, Incident], *, now: datetime) -> Item:
    def item(level: Level, words: str, kind: IncidentKind | None = None, detail: str = "") -> Item:
        incident = found.get(kind.value) if kind else None
        reason, since = (incident.reason, incident.began_at) if incident else ("", None)
        return Item(Subject.PROVIDER, level, words, since=since, detail=detail or reason, name=name)

    if state is None:
        return item(Level.IDLE, "not asked yet")
    if state.breaker != BreakerState.CLOSED.value:
        kind = IncidentKind.BLOCKED if IncidentKind.BLOCKED.value in found else IncidentKind.FAILING
        return item(Level.BAD, f"{kind.value}, left alone", kind)
    if _must_wait(state, now=now):
        words = f"asked us to wait until {state.not_before:%H:%M:%S} UTC"
        return item(Level.WARNING, words, IncidentKind.LIMITED, state.reason)
    if state.last_import_error:
        return item(Level.WARNING, "card not read", detail=state.last_import_error)
    if state.throttle_factor > 1:
        return item(Level.WARNING, f"one far slot in {state.throttle_factor}", IncidentKind.THROTTLED)
    return Item(Subject.PROVIDER, Level.WELL, "answers", seen=state.last_import_at, name=name)


def incidents(facts: Facts) -> Item:
    """The open incidents; bad where a person may have to act."""
    if not facts.incidents:
        return Item(Subject.INCIDENTS, Level.WELL, "none open")
    kinds = Counter(incident.kind for incident in facts.incidents)
    acute = {kind.value for kind in ACUTE} & set(kinds)
    return Item(
        Subject.INCIDENTS,
        Level.BAD if acute else Level.WARNING,
        f"{len(facts.incidents)} open",
        since=facts.incidents[0].began_at,
        detail=", ".join(f"{number} {kind}" for kind, number in kinds.items()),
    )


# --- Appwrite ---------------------------------------------------------------------------------------------------------


def appwrite(facts: Facts, *, now: datetime) -> Item:
    """How the sync stands; as on the sync page it is bad while Appwrite has unmatched rows."""
    sync = facts.sync
    if not sync.configured:
        return Item(Subject.APPWRITE, Level.IDLE, "not configured")
    if sync.problems:
        return Item(
            Subject.APPWRITE, Level.BAD, "needs attention", sync.problems_since, detail="; ".join(sync.problems)
        )
    if sync.unmatched_rows.number:
        words = _count_words(sync.unmatched_rows.number, "unmatched row")
        return Item(Subject.APPWRITE, Level.BAD, words, since=sync.unmatched_rows.since)
    if sync.pulled_at is None:
        return Item(Subject.APPWRITE, Level.IDLE, "not read yet")
    if now - sync.pulled_at > STILL_READS:
        return Item(Subject.APPWRITE, Level.WARNING, "not read", since=sync.pulled_at)
    return Item(Subject.APPWRITE, Level.WELL, "well", seen=sync.pulled_at)


def conflicts(facts: Facts) -> Item:
    """The conflicts that nobody has resolved."""
    found = facts.sync.conflicts
    if not found.number:
        return Item(Subject.CONFLICTS, Level.WELL, "none open")
    return Item(Subject.CONFLICTS, Level.BAD, f"{found.number} open", since=found.since)


# --- what keeps polls from being made ---------------------------------------------------------------------------------


def switch(facts: Facts) -> Item:
    """Whether staff have paused all polling, since when, who did and why."""
    row = facts.switch
    if row is None or not row.paused:
        return Item(Subject.SWITCH, Level.WELL, "on", since=row.changed_at if row else None)
    why = ": ".join(words for words in (row.changed_by and f"by {row.changed_by}", row.reason) if words)
    return Item(Subject.SWITCH, Level.BAD, "paused", since=row.changed_at, detail=why)


def pause_notice(facts: Facts) -> str:
    """That all polling is paused, since when, who paused it and why, in a sentence; empty where it is not."""
    item = switch(facts)
    return _sentence_of(item) if item.level is Level.BAD else ""


def nothing_polled(facts: Facts, *, now: datetime) -> str:
    """Why nothing at all is polled now, in a few words; empty where polling goes on."""
    if switch(facts).level is Level.BAD:
        return "all polling is paused"
    if worker(facts, now=now).level is Level.BAD:
        return "no worker begins polls"
    return "ticks are failing" if last_tick(facts, now=now).level is Level.BAD else ""


def obstacles(facts: Facts, asked: Iterable[str], *, now: datetime) -> list[str]:
    """Why polls of races of these providers, asked for now, may not be made or answered; a sentence each.

    A race made by hand is of the provider "".
    """
    found = [_sentence_of(item) for item in (switch(facts), worker(facts, now=now)) if item.level is Level.BAD]
    states, names = {state.name: state for state in facts.provider_states}, sorted(set(asked))
    for name in (name for name in names if name in states and name in facts.providers):
        item = _judge_provider(name, states[name], _incidents_of(facts, name), now=now)
        if item.level is Level.BAD:
            found.append(f"{_sentence_of(item)} One request is let through to find out whether it answers again.")
        elif _must_wait(states[name], now=now):
            found.append(_sentence_of(item))
    unknown = [f"{name} is not a configured provider." for name in names if name and name not in facts.providers]
    return [*found, *unknown, *([] if "" not in names else ["A race made by hand has no provider to ask."])]


def _must_wait(state: ProviderState, *, now: datetime) -> bool:
    """Whether the provider has asked us to wait."""
    return bool(state.not_before and state.not_before > now)


SENTENCES = {
    Subject.SWITCH: "All polling is paused",
    Subject.WORKER: "No worker begins polls",
}


def _sentence_of(item: Item) -> str:
    """`All polling is paused since 2026-11-27 16:00:00 UTC, by ann: maintenance.`"""
    subject = SENTENCES.get(item.subject, f"{item.title}: {item.words}")
    since = f" since {item.since:%Y-%m-%d %H:%M:%S} UTC" if item.since else ""
    detail = f", {item.detail}" if item.detail else ""
    sentence = f"{subject}{since}{detail}"
    return sentence if sentence.endswith(("?", ".", "!")) else f"{sentence}."


def _count_words(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
