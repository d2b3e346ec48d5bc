"""What the provider reports of a race at an instant."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sandbox.provider.names import PROTESTS
from sandbox.provider.race import Race
from sandbox.provider.runners import Places, Runner, finish

AFTER_THE_JUMP = frozenset({"Closed", "Live", "Interim", "Final"})
WITH_RESULTS = frozenset({"Interim", "Final"})
INTERIM_PLACES = 4


@dataclass(frozen=True)
class Override:
    """What a test has the provider report of a race since `set_at`; None leaves what the card says."""

    set_at: datetime
    status: str | None = None
    advertised_start: datetime | None = None
    scratched: frozenset[int] | None = None
    results: Places | None = None
    dividends: Mapping[str, float] | None = None
    protest: bool | None = None
    protest_reason: str | None = None
    vanished: bool = False


@dataclass(frozen=True)
class RaceState:
    """A race as the provider reports it at `now`.

    `scratched` holds the scratching instants by runner number, `dividends` those that a test wants, by product;
    `protest` is the reason of a protest, None without one.
    """

    race: Race
    now: datetime
    status: str
    advertised_start: datetime
    actual_start: datetime
    scratched: Mapping[int, datetime]
    places: Places
    dividends: Mapping[str, float]
    protest: str | None

    def runner(self, number: int) -> Runner:
        return self.race.runners[number - 1]


def state_of(race: Race, *, now: datetime, override: Override | None = None) -> RaceState:
    """The race at `now`, with what a test overrides."""
    override = override or Override(set_at=now)
    if override.advertised_start is not None:
        race = replace(race, first_start=override.advertised_start, moves=())
    status = override.status or race.status(now)
    start = race.advertised_start(now)
    has_jumped = status in AFTER_THE_JUMP and race.jump_at <= now
    scratched = _scratched_at(race, min(now, race.jump_at), override)
    return RaceState(
        race=race,
        now=now,
        status=status,
        advertised_start=start,
        # Before the jump the API repeats the advertised start here.
        actual_start=race.jump_at if has_jumped else start,
        scratched=scratched,
        places=_places_of(race, status, scratched, override, is_corrected=race.is_corrected(now)),
        dividends=override.dividends or {},
        protest=_protest_of(race, status, now, override),
    )


def _scratched_at(race: Race, at: datetime, override: Override) -> dict[int, datetime]:
    if override.scratched is not None:
        return dict.fromkeys(sorted(override.scratched), override.set_at)
    return {
        runner.number: runner.scratched_at
        for runner in race.runners
        if runner.scratched_at is not None and runner.is_scratched(at)
    }


def _places_of(
    race: Race, status: str, scratched: Mapping[int, datetime], override: Override, *, is_corrected: bool
) -> Places:
    if status not in WITH_RESULTS:
        return ()
    if override.results is not None:
        return override.results
    ran = tuple((runner.number, runner.strength) for runner in race.runners if runner.number not in scratched)
    places = finish(race.seed, race.position, ran)
    if status == "Interim":
        return places[:INTERIM_PLACES]
    return (*places[1::-1], *places[2:]) if is_corrected else places


def _protest_of(race: Race, status: str, now: datetime, override: Override) -> str | None:
    raised = status in WITH_RESULTS and race.has_protest(now) if override.protest is None else override.protest
    if not raised:
        return None
    return override.protest_reason or (race.protest.reason if race.protest else PROTESTS[0])
