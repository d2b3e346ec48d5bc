"""The TAB affiliates API: TAB NZ, and Ladbrokes and Neds by another base URL.

Status and start of every race come in bulk by meeting; runners, odds and results one race a request.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from polling.errors import Malformed, NotFound, PollingError
from polling.http.json_client import HttpClient
from polling.http.transport import POOL_SIZE
from polling.providers.base import Answer, Capabilities, RaceRef, Schedule
from polling.providers.json_values import instant_or_none
from polling.providers.tab_payloads import ListedIds, echoed_param, listed_ids, parse_event, parse_meetings
from polling.request_policy import BatchScope
from races.snapshots import RaceSnapshot, join_snapshots, sum_left_out

logger = logging.getLogger(__name__)

MEETINGS = "/racing/meetings"
PAGE = 200  # the most meetings that it gives at once
MOST_MEETINGS = 10_000  # of a card; a server that makes up ids would be asked for ever
PAST_THE_END = (400, 404, 416, 422)  # what some answer in place of a page behind the last one
IDS = 100  # meeting ids a request: more would make a URL that servers refuse

# Meetings are asked by the provider's local racing day. No zone is further from UTC, and a card that runs
# past midnight keeps its day.
OFF_UTC = timedelta(hours=14)
NEARBY = timedelta(hours=12)
POSTPONED_BY = timedelta(days=7)  # at most; a card further off is another one than was asked for


class TabAffiliates:
    """The adapter. Its source refreshes every 15 s, so that asking more often brings nothing new."""

    def __init__(self, name: str, http: HttpClient) -> None:
        self.name = name
        self.capabilities = Capabilities(
            batch_scope=BatchScope.STATUS,
            max_batch=20,
            max_concurrency=POOL_SIZE,
            min_interval=timedelta(seconds=15),
        )
        self._http = http

    def fetch_schedule(self, since: datetime, until: datetime, *, now: datetime, deadline: float) -> Schedule:
        """The status and start of every race that is advertised to start from `since` to `until`.

        One request per page of 200 meetings, and one that finds the end. Also in it: the races of the same days that
        start up to a week outside that window.
        """
        pages = list(self._fetch_pages(since, until, now=now, deadline=deadline))
        cards, ids = [card for card, _ in pages], [listed for _, listed in pages]
        found = [race for race in _races_by_id(cards).values() if race.advertised_start]
        nearby = [race for race in found if _starts_within(race, since - POSTPONED_BY, until + POSTPONED_BY)]
        # The last page, which brings nothing new, may have no list.
        is_whole = ids[0].is_whole and all(page.is_whole for page in ids[1:] if page.rows)
        return Schedule(
            [race for race in found if _starts_within(race, since, until)],
            outside_window=[race for race in nearby if not _starts_within(race, since, until)],
            skipped=sum(card.skipped for card in cards),
            requests=len(cards),
            left_out=sum_left_out(*(dict(card.left_out) for card in cards)),
            listed_ids=frozenset[str]().union(*(page.races for page in ids)) if is_whole else None,
            unlisted_meetings=frozenset[str]().union(*(page.unlisted for page in ids)),
        )

    def fetch_statuses(self, refs: Iterable[RaceRef], *, now: datetime, deadline: float) -> Mapping[str, RaceSnapshot]:
        """Status and start by race id, one request per 100 meetings of the refs.

        A race without a status in the answer is left out: it must be asked singly, or it would never end.
        """
        wanted = list(refs)
        meetings = sorted({ref.provider_meeting_id for ref in wanted if ref.provider_meeting_id})
        cards = []
        for first in range(0, len(meetings), IDS):
            ids = ",".join(meetings[first : first + IDS])
            payload = self._http.get_json(MEETINGS, {"ids": ids}, deadline=deadline)
            cards.append(parse_meetings(payload, provider=self.name, observed_at=now))
        if not all(ref.provider_meeting_id for ref in wanted):
            cards += [card for card, _ in self._fetch_pages(now - NEARBY, now + NEARBY, now=now, deadline=deadline)]
        reported, asked = _races_by_id(cards), {ref.provider_race_id for ref in wanted}
        return {race_id: race for race_id, race in reported.items() if race_id in asked and race.provider_status}

    def fetch_races(self, refs: Iterable[RaceRef], *, now: datetime, deadline: float) -> Mapping[str, Answer]:
        """All there is of each race, by race id, a request each, all at once; one race alone starts no thread."""
        wanted = list(dict.fromkeys(ref.provider_race_id for ref in refs))
        ask = partial(self._fetch_race_or_error, now=now, deadline=deadline)
        if len(wanted) <= 1:
            return {race_id: ask(race_id) for race_id in wanted}
        workers = min(len(wanted), self.capabilities.max_concurrency)
        with ThreadPoolExecutor(workers, thread_name_prefix=self.name) as pool:
            return dict(zip(wanted, pool.map(ask, wanted), strict=True))

    def _fetch_race_or_error(self, race_id: str, *, now: datetime, deadline: float) -> Answer:
        try:
            payload = self._http.get_json(f"/racing/events/{quote(race_id, safe='')}", {}, deadline=deadline)
            race = parse_event(payload, provider=self.name, observed_at=now)
        except PollingError as error:
            return error
        except Exception as error:  # noqa: BLE001 - one race must not cost the others their answers
            logger.exception("%s: race %s could not be read", self.name, race_id)
            return Malformed(f"race {race_id} could not be read: {type(error).__name__}")
        if race.provider_race_id != race_id:
            return Malformed(f"asked for race {race_id}, answered {race.provider_race_id}", http_status=200)
        return race

    def _fetch_pages(
        self, since: datetime, until: datetime, *, now: datetime, deadline: float
    ) -> Iterator[tuple[Schedule, ListedIds]]:
        """Every page of the racing days that a race between these instants may belong to: its races, and its ids."""
        first, last = _utc_day(since - OFF_UTC), _utc_day(until + OFF_UTC)
        days = {"date_from": first.isoformat(), "date_to": last.isoformat()}
        for payload, ids, is_new in self._fetch_payloads(days, deadline=deadline):
            card = parse_meetings(payload, provider=self.name, observed_at=now)  # a page of nothing may be an error
            yield card if is_new else Schedule(()), ids
            # Its echo is the only sign of a parameter that the provider ignored. A day off may be its zone.
            echoed = instant_or_none(echoed_param(payload, "date_from"))
            if echoed is not None and abs(echoed.date() - first) > timedelta(days=1):
                logger.warning("%s: asked for cards from %s, got those from %s", self.name, first, echoed.date())

    def _fetch_payloads(self, params: Mapping[str, str], *, deadline: float) -> Iterator[tuple[Any, ListedIds, bool]]:
        """Pages until one brings no new meeting, each with its ids, and whether they are new; an empty card is new.

        It steps by the rows that came, because a page may be shorter than was asked for.
        """
        seen, offset = set[str](), 0
        while offset < MOST_MEETINGS:
            try:
                payload = self._http.get_json(MEETINGS, {**params, "limit": PAGE, "offset": offset}, deadline=deadline)
            except (NotFound, Malformed) as error:
                if offset and error.http_status in PAST_THE_END:
                    return
                raise
            ids = listed_ids(payload)
            is_last = ids.meetings <= seen
            yield payload, ids, not is_last or not offset
            if is_last:
                return
            seen |= ids.meetings
            offset += ids.rows
        logger.warning("%s: its card has more than %d meetings; the rest was not asked for", self.name, MOST_MEETINGS)


def _utc_day(instant: datetime) -> date:
    return instant.astimezone(UTC).date()


def _races_by_id(cards: Iterable[Schedule]) -> dict[str, RaceSnapshot]:
    races: dict[str, RaceSnapshot] = {}
    for race in (race for card in cards for race in card.races):
        known = races.get(race.provider_race_id)
        races[race.provider_race_id] = join_snapshots(known, race) if known else race
    return races


def _starts_within(race: RaceSnapshot, since: datetime, until: datetime) -> bool:
    return race.advertised_start is not None and since <= race.advertised_start <= until
