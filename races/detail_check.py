"""Whether a status answer shows that the stored detail of a race is outdated: one rule for import and polls."""

from races.models import Race
from races.snapshots import RaceSnapshot
from races.status import FinalizedBy, RaceStatus, ResultState


def is_detail_outdated(race: Race, answer: RaceSnapshot) -> bool:
    """Whether status, start or protest changed, an interim result has no placing yet, or the race newly ended.

    `race` is as stored before the answer. The detail of a race that has ended can be outdated too.
    """
    moved = answer.provider_status is not None and answer.provider_status != race.provider_status
    protested = answer.protest is not None and answer.protest != race.protest
    postponed = answer.advertised_start is not None and answer.advertised_start != race.provider_start
    ended = answer.status is RaceStatus.FINALIZED and not race.is_finalized
    taken_back = answer.status not in (None, RaceStatus.FINALIZED) and race.finalized_by == FinalizedBy.PROVIDER
    incomplete = answer.result_state is ResultState.INTERIM and not race.results
    return moved or protested or postponed or ended or taken_back or incomplete
