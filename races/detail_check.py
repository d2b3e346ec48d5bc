"""Whether a status answer says that the detail of a race has changed; one rule for the import and the polls."""

from races.models import Race
from races.snapshots import RaceSnapshot
from races.status import FinalizedBy, RaceStatus, ResultState


def is_detail_outdated(race: Race, answer: RaceSnapshot) -> bool:
    """Whether status, start or protest moved, an interim result has no placing yet, or an end is not stored as one.

    `race` is as stored before the answer; a race that has ended can have news too.
    """
    moved = answer.provider_status is not None and answer.provider_status != race.provider_status
    protested = answer.protest is not None and answer.protest != race.protest
    postponed = answer.advertised_start is not None and answer.advertised_start != race.provider_start
    ended = answer.status is RaceStatus.FINALIZED and not race.is_finalized
    taken_back = answer.status not in (None, RaceStatus.FINALIZED) and race.finalized_by == FinalizedBy.PROVIDER
    incomplete = answer.result_state is ResultState.INTERIM and not race.results
    return moved or protested or postponed or ended or taken_back or incomplete
