"""What a provider said about a race at one moment, normalised. A field that is None was not told."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from races.status import Outcome, RaceStatus, ResultState


class Scope(StrEnum):
    """How much an answer tells: `status` never says anything of runners, odds or results."""

    STATUS = "status"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class MeetingSnapshot:
    """One code's races at one track on one racing day; the day is the track's, not UTC's."""

    provider: str
    provider_meeting_id: str
    name: str
    country: str = ""
    state: str = ""
    code: str = ""
    racing_day: date | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class RunnerSnapshot:
    """A runner by saddlecloth number. Odds are decimal, stake included; None where none are offered."""

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


@dataclass(frozen=True, slots=True)
class ResultSnapshot:
    """One runner's finish: a position, shared in a dead heat, or a code (PU, F, UR …). Margin in lengths."""

    runner_number: int
    position: int | None = None
    code: str = ""
    name: str = ""
    margin: Decimal | None = None


@dataclass(frozen=True, slots=True)
class DividendSnapshot:
    """A payout per 1.00 staked on the runners of `selection`, in finishing order."""

    pool: str
    product: str
    selection: tuple[int, ...]
    amount: Decimal
    state: ResultState


@dataclass(frozen=True, slots=True)
class RaceSnapshot:
    """One race as told by one answer.

    `status` is None where the provider told none, or one we do not know (then `provider_status` has it).
    `source_time` is the provider's own clock, `observed_at` ours.
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

    @property
    def key(self) -> tuple[str, str]:
        """The identity: provider and its race id."""
        return self.provider, self.provider_race_id

    @property
    def unknown_status(self) -> str | None:
        """The provider's status where it is one that we have no mapping for."""
        return self.provider_status if self.provider_status and self.status is None else None
