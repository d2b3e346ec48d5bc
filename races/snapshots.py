"""What a provider reported about a race at one moment, normalised. A field that is None was not reported."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from string import ascii_uppercase

from races.status import Outcome, RaceStatus, ResultState

Label = int | str  # a runner in results and dividends: its number, or text such as "1A" for a coupled entry
LeftOut = tuple[tuple[str, int], ...]  # what of an answer was not read, and how often, sorted


def sum_left_out(*counts: Mapping[str, int]) -> LeftOut:
    """Adds counts of what was left out; the result is sorted and has no zeros."""
    total = sum((Counter(count) for count in counts), Counter[str]())
    return tuple(sorted((what, count) for what, count in total.items() if count))


class Scope(StrEnum):
    """How much an answer holds: `status` never has runners, odds or results."""

    STATUS = "status"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class MeetingSnapshot:
    """One code's races at one track on one racing day; `provider_day` is the day under which the provider lists it."""

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
    """A runner by its saddlecloth number. Odds are decimal, stake included; None if none are offered.

    `letter` distinguishes the coupled entries of one number: "A" of 1A.
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
        """The name of the runner in results and dividends: 7, or "1A"."""
        return label(self.number, self.letter)


def label(number: int, letter: str) -> Label:
    """A saddlecloth number and letter as one value: 7, or "1A"."""
    return f"{number}{letter}" if letter else number


def label_order(label: Label) -> tuple[int, str]:
    """The sort key of saddlecloths, for the order 1, "1A", 2, 10."""
    digits = str(label).rstrip(ascii_uppercase)
    return int(digits), str(label)[len(digits) :]


@dataclass(frozen=True, slots=True)
class ResultSnapshot:
    """One runner's finish: a position, which a dead heat shares, or a code (PU, F, UR …). The margin is in lengths."""

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
    """One race as reported by one answer.

    `status` is None if the provider reported none, or one without a mapping (then `provider_status` has it).
    `source_time` is the provider's clock, `observed_at` ours. `left_out` counts what the answer had of the race and
    could not be read, or was reported twice: `(("runners", 1),)`.
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
        """The race's identity: the provider and its race id."""
        return self.provider, self.provider_race_id

    @property
    def unknown_status(self) -> str | None:
        """The provider's status if there is no mapping for it, else None."""
        return self.provider_status if self.provider_status and self.status is None else None


STATUS_FIELDS = frozenset({"status", "outcome", "result_state"})


def join_snapshots(earlier: RaceSnapshot, later: RaceSnapshot) -> RaceSnapshot:
    """Joins two reports of one race: the newer by the provider's clock counts, then the fuller, then the later one.

    Fields that it is missing are taken from the other report if both have the same scope.
    """
    other, best = sorted((earlier, later), key=_report_rank)
    if best.scope is not other.scope:
        return best
    # Outcome and result state belong to one report's status: another report's end is not the end of this one.
    own = STATUS_FIELDS if best.provider_status else ()
    missing = [name for name in best.__slots__ if getattr(best, name) is None and name not in own]
    return replace(best, **{name: getattr(other, name) for name in missing})


def _report_rank(report: RaceSnapshot) -> tuple[float, bool, int]:
    known = sum(getattr(report, name) is not None for name in report.__slots__)
    return report.source_time.timestamp() if report.source_time else 0.0, report.scope is Scope.FULL, known
