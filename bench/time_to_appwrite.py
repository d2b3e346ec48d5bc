"""From the claim of a batch poll until every race that changed can be read in Appwrite."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bench.appwrite import REAL_SERVER, Server, appwrite, is_real
from bench.cluster import cluster
from bench.figures import Bar, Figure, median, percentile, percentiles
from bench.near_races import bring_near
from bench.provider import Provider, given, provider
from bench.run_options import RunOptions
from polling import clock, dispatch, importing
from polling.appwrite import sync_state
from polling.models import PollLog, PollState, Trigger
from races.models import Race, Runner
from tests.processes import eventually

PROVIDER_MS = 300
ROUNDS = 20
WITHIN_SECONDS = 60.0
LOOKS_EVERY = 0.01
# A team that built the same brief on Appwrite functions was measured at this, for five races.
PEER_SECONDS = 17.0


@dataclass
class Round:
    """One batch poll: seconds until all could be read, and for each race the milliseconds from its answer's end."""

    seconds: float
    lags_ms: list[float] = field(default_factory=list)


def measure_rounds(options: RunOptions, *, count: int, every: float) -> tuple[list[Round], dict[str, object]]:
    """Rounds of forced polls of `count` races, one every `every` seconds, and the details of the measurement."""
    with given() or provider(delay_ms=PROVIDER_MS) as source, appwrite(options) as server:
        races = _choose_races(source, count)
        with cluster(options):
            first = _run_round(server, source, races, 0)
            rounds = list(_run_rounds(server, source, races, options.sized(ROUNDS, 2), every))
    details: dict[str, object] = {"races": count, "every_s": every, "first_load_s": round(first.seconds, 2)}
    details |= {"provider_ms": PROVIDER_MS if source else "its own"}
    details |= {"appwrite": "its own" if is_real() else REAL_SERVER}
    details |= {"rounds_without_a_change": sum(not found.lags_ms for found in rounds)}
    return [found for found in rounds if found.lags_ms], details


def _choose_races(source: Provider | None, count: int) -> list[Race]:
    """Races too far from their start to be polled by themselves; of a given provider those that come next."""
    now = clock.now()
    if source:
        return list(bring_near(source, [now + timedelta(minutes=90)] * count, now=now).values())
    importing.import_schedule("sandbox", now=now, deadline_seconds=60)
    ahead = Race.objects.filter(advertised_start__gt=now).order_by("advertised_start")
    chosen = list(ahead.values_list("pk", flat=True)[:count])
    assert len(chosen) == count, f"the provider has only {len(chosen)} races ahead"
    Race.objects.exclude(pk__in=chosen).delete()
    return list(Race.objects.all())


def _run_rounds(
    server: Server, source: Provider | None, races: Sequence[Race], count: int, every: float
) -> Iterator[Round]:
    began = time.monotonic()
    for number in range(1, count + 1):
        time.sleep(max(0.0, began + number * every - time.monotonic()))
        yield _run_round(server, source, races, number)


def _run_round(server: Server, source: Provider | None, races: Sequence[Race], number: int) -> Round:
    """A steered provider scratches another runner every time, so that every race changes."""
    if source:
        for race in races:
            source.steer(race.provider_race_id, scratched=[1 + number % 4])
    else:
        _clear_content(races)
    before = server.versions(races)
    began = clock.now()
    logs = dispatch.force(races, trigger=Trigger.FORCED, requested_by="bench", now=began)
    finished = eventually("the polls are done", lambda: _finished_at(logs), seconds=WITHIN_SECONDS)
    wanted = dict(Race.objects.filter(pk__in=finished).values_list("pk", "version"))
    seen: dict[int, datetime] = {}
    deadline = time.monotonic() + WITHIN_SECONDS
    while len(seen) < len(wanted):
        shown, now = server.versions(races), clock.now()
        seen |= {pk: now for pk, version in wanted.items() if pk not in seen and shown.get(pk, 0) >= version}
        assert time.monotonic() < deadline, f"{len(wanted) - len(seen)} races are not in Appwrite"
        time.sleep(LOOKS_EVERY)
    changed = [pk for pk, version in wanted.items() if before.get(pk) != version]
    lags = [(seen[pk] - finished[pk]).total_seconds() * 1000 for pk in changed]
    return Round((max(seen.values()) - began).total_seconds(), lags)


def _clear_content(races: Sequence[Race]) -> None:
    """Where nobody can steer the provider: clears what it reported and what Appwrite has of it, so that all is new."""
    Race.objects.filter(pk__in=[race.pk for race in races]).update(content_hash="")
    Runner.objects.filter(race__in=races).update(name="?")
    for state in sync_state.states():
        sync_state.states().filter(pk=state.pk).update(base={**state.base, "runners": None})


def _finished_at(logs: Sequence[PollLog]) -> dict[int, datetime] | None:
    """When the answer to each poll was complete, shortly before its commit; none while one is open."""
    found = PollLog.objects.filter(pk__in=[log.pk for log in logs])
    if found.filter(finished_at=None).exists():
        return None
    bad = found.exclude(state=PollState.OK.value).values_list("state", "reason", "message").first()
    assert bad is None, f"a poll was {bad}"
    return {race: at for race, at in found.values_list("race", "finished_at") if at}


def round_figure(
    rounds: Sequence[Round], bars: dict[str, float], options: RunOptions, details: dict[str, object]
) -> Figure:
    """The figure of the median round; judged only with the servers that the bar was set for."""
    if not rounds:
        return Figure("claim_to_readable", None, "s", why="nothing changed", n=0, details=details)
    seconds = [found.seconds for found in rounds]
    spread = {"median": median(seconds), "p90": percentile(seconds, 0.9), "max": max(seconds)}
    spread = {name: round(value, 2) for name, value in spread.items()}
    why = "the bar is for the simulated servers" if is_real() or given() else ""
    bar = Bar("<=", bars[options.stack])
    return Figure(
        "claim_to_readable", median(seconds), "s", bar, len(seconds), why=why, details={"spread": spread, **details}
    )


def lag_figures(rounds: Sequence[Round], details: dict[str, Any]) -> list[Figure]:
    """The figures from the end of a poll's answer, shortly before its commit, until its race can be read."""
    found = [lag for one in rounds for lag in one.lags_ms]
    return percentiles("commit_to_readable", found, "ms", {0.95: Bar("<=", 1000)}, **details)
