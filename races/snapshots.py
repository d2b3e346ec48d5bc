"""What a provider said about a race at one moment, normalised. A field that is None was not told."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from string import ascii_uppercase

from races.status import Outcome, RaceStatus, ResultState

Label = int | str  # a runner as results and dividends name it: its number, or text such as "1A" where it has a letter


LeftOut = tuple[tuple[str, int], ...]


def sum_left_out(*counts: Mapping[str, int]) -> LeftOut:
    """The sum of such counts, sorted by what was left out, without zeros."""
    total = sum((Counter(count) for count in counts), Counter[str]())
    return tuple(sorted((what, count) for what, count in total.items() if count))


class Scope(StrEnum):
    """How much an answer tells: `status` never says anything of runners, odds or results."""

    STATUS = "status"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class MeetingSnapshot:
    """One code's races at one track on one racing day. `provider_day` is the day under which the provider lists it."""

    provider: str
    provider_meeting_id: str
    name: str
    country: str = ""
    state: str = ""
    code: str = ""
    provider_day: date | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class RunnerSnapshot:
    """A runner by saddlecloth number. Odds are decimal, stake included; None where none are offered.

    `letter` tells a coupled entry from the others of its number: "A" of 1A.
    """

    number: int
    name: str
    barrier: int | None = None
    jockey: str = ""
    trainer: str = ""
    scratched: bool = False
    scratched_at: datetime | None = None
    fixed_win: Decimal | None = None
    fixed_place: Decimal | None = None
    tote_win: Decimal | None = None
    tote_place: Decimal | None = None
    letter: str = ""

    @property
    def label(self) -> Label:
        """How results and dividends name it."""
        return label(self.number, self.letter)


def label(number: int, letter: str) -> Label:
    """A saddlecloth as one value: 7, or "1A"."""
    return f"{number}{letter}" if letter else number


def label_order(label: Label) -> tuple[int, str]:
    """The key that sorts saddlecloths: 1, "1A", 2, 10."""
    digits = str(label).rstrip(ascii_uppercase)
    return int(digits), str(label)[len(digits) :]


@dataclass(frozen=True, slots=True)
class ResultSnapshot:
    """One runner's finish: a position, shared in a dead heat, or a code (PU, F, UR …). Margin in lengths."""

    runner_number: Label
    position: int | None = None
    code: str = ""
    name: str = ""
    margin: Decimal | None = None


@dataclass(frozen=True, slots=True)
class DividendSnapshot:
    """A payout per 1.00 staked on the runners of `selection`, in finishing order."""

    pool: str
    product: str
    selection: tuple[Label, ...]
    amount: Decimal
    state: ResultState


@dataclass(frozen=True, slots=True)
class RaceSnapshot:
    """One race as told by one answer.

    `status` is None where the provider told none, or one we do not know (then `provider_status` has it).
    `source_time` is the provider's own clock, `observed_at` ours. `left_out` counts what the answer had of the race
    and could not be read, or was reported twice, by what it was: `(("runners", 1),)`.
    """

    provider: str
    provider_race_id: str
    scope: Scope
    observed_at: datetime
    source_time: datetime | None = None
    meeting: MeetingSnapshot | None = None
    number: int | None = None
    name: str | None = None
    distance_m: int | None = None
    advertised_start: datetime | None = None
    actual_start: datetime | None = None
    status: RaceStatus | None = None
    provider_status: str | None = None
    outcome: Outcome | None = None
    result_state: ResultState | None = None
    protest: bool | None = None
    runners: tuple[RunnerSnapshot, ...] | None = None
    results: tuple[ResultSnapshot, ...] | None = None
    dividends: tuple[DividendSnapshot, ...] | None = None
    left_out: LeftOut = ()

    @property
    def key(self) -> tuple[str, str]:
        """The identity: provider and its race id."""
        return self.provider, self.provider_race_id

    @property
    def unknown_status(self) -> str | None:
        """The provider's status where it is one that we have no mapping for."""
        return self.provider_status if self.provider_status and self.status is None else None


STATUS_WORDS = frozenset({"status", "outcome", "result_state"})


def join_snapshots(earlier: RaceSnapshot, later: RaceSnapshot) -> RaceSnapshot:
    """Two reports of one race as one: the newer by the provider's clock, then the fuller one, then the later.

    What it lacks is taken from the other, where both are of one scope.
    """
    other, best = sorted((earlier, later), key=_weight)
    if best.scope is not other.scope:
        return best
    # What a status means stands with its word: another report's end is not the end of this one.
    own = STATUS_WORDS if best.provider_status else ()
    unsaid = {name: getattr(other, name) for name in best.__slots__ if getattr(best, name) is None and name not in own}
    return replace(best, **unsaid)


def _weight(report: RaceSnapshot) -> tuple[float, bool, int]:
    known = sum(getattr(report, name) is not None for name in report.__slots__)
    return report.source_time.timestamp() if report.source_time else 0.0, report.scope is Scope.FULL, known
