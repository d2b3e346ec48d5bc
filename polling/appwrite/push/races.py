"""One push of races: new ones in bulk, changed ones field by field, each against the base it was merged with."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from django.db import InterfaceError, OperationalError, transaction

from polling.appwrite import deletion_guard, mapping, sync_state
from polling.appwrite.api.errors import InvalidRequest, affects_every_row, counts_as_failure
from polling.appwrite.api.parallel import MOST, in_parallel
from polling.appwrite.api.rows import MOST_ROWS, Row, Rows
from polling.appwrite.lease import Lease
from polling.appwrite.push.race_push import Job, job_of, put_off, row_id_of
from polling.appwrite.reconcile import InboundRow, reconcile
from polling.appwrite.schema.table_faults import DIAGNOSIS_SECONDS, TableRefusals, TableRefuses, rewrite_a_row
from polling.errors import Ambiguous, Conflict, NotFound, OutOfTime, PollingError, Unavailable
from races.models import Race

logger = logging.getLogger(__name__)

READ_BACK_SECONDS = 1.5  # that reading back what was just written may last beyond the deadline
MOST_CONFLICTS = 5  # of one row in one push
TRIES_TOGETHER = 3  # of new rows; then one that the server cannot take must not hold up the others


Outcome = tuple[Job, Row | PollingError | None]


@dataclass
class Counts:
    """What became of rows. `merged` had been changed in Appwrite too; `waiting` are tried again later.

    `expired` rows were removed because their races were, by age.
    """

    created: int = 0
    changed: int = 0
    deleted: int = 0
    expired: int = 0
    unchanged: int = 0
    merged: int = 0
    waiting: int = 0
    dead: int = 0


class RacePush:
    """Pushes dirty races batch by batch, while the lease is held."""

    def __init__(self, rows: Rows, lease: Lease, counts: Counts) -> None:
        self._rows, self._lease, self._counts = rows, lease, counts
        patient = rows.extended_by(DIAGNOSIS_SECONDS)
        self._refusals = TableRefusals(patient, partial(rewrite_a_row, patient))
        self._fault: TableRefuses | None = None  # of this step
        self._conflicts: Counter[int] = Counter()
        self._open: dict[int, Job] = {}

    def has_more(self) -> bool:
        """Whether a race is dirty."""
        return sync_state.dirty(now=self._lease.now()).exists()

    def step(self) -> bool:
        """One batch; whether it was a full one. Raises what every other row would meet too, after noting it."""
        dirty = sync_state.dirty(now=self._lease.now()).select_related("meeting").prefetch_related("runners")
        races = list(dirty[:MOST_ROWS])
        jobs = self._jobs(races)
        self._open, self._fault = {job.race_id: job for job in jobs}, None
        stored = self._counts.created + self._counts.changed
        try:
            self._pass_over([job for job in jobs if not job.changes and not job.may_have_landed])
            # Nothing to write, but an earlier write may have landed unnoticed: what is there must be seen.
            self._resolve([job for job in jobs if not job.changes and job.may_have_landed])
            jobs = [job for job in jobs if job.changes]
            self._create(self._announce([job for job in jobs if job.is_new]))
            self._change([job for job in jobs if not job.is_new])
            if self._fault and self._fault.every_row and stored == self._counts.created + self._counts.changed:
                raise self._fault
        except OutOfTime:  # what is open stays dirty, for the next run
            raise
        except PollingError as error:
            self._postpone(list(self._open.values()), error)
            raise
        return len(races) == MOST_ROWS

    def _jobs(self, races: Sequence[Race]) -> list[Job]:
        known = {
            state.local_pk: state for state in sync_state.states().filter(local_pk__in=[race.pk for race in races])
        }
        jobs = []
        for race in races:
            state = known.get(race.pk)
            try:
                jobs.append(job_of(race, state))
            except Exception as error:  # noqa: BLE001 - one bad race must not stop the others
                logger.exception("%s cannot be written as a row", race)
                base = state.base_updated_at if state else ""
                unfit = sync_state.new_state(race.pk, row_id_of(race, state), base_updated_at=base)
                self._counts.dead += sync_state.bury(unfit, error, now=self._lease.now(), version=race.version)
        sync_state.forget_orphans([job.row_id for job in jobs if job.is_new])
        return jobs

    def _pass_over(self, jobs: Sequence[Job]) -> None:
        """Races whose version moved but not their content. A base that a pull has replaced meanwhile stays dirty."""
        now = self._lease.now()
        with transaction.atomic():
            bases = dict(sync_state.locked([job.race_id for job in jobs]))
            same = [job for job in jobs if bases.get(job.race_id) == job.base_updated_at]
            found = [sync_state.passed_over(job.race_id, job.row_id, version=job.version, now=now) for job in same]
            sync_state.save(found, sync_state.PASSED_OVER)
        for job in jobs:
            self._close(job)
        self._counts.unchanged += len(jobs)

    def _announce(self, jobs: Sequence[Job]) -> list[Job]:
        """Keeps what is about to be written: met in Appwrite it is no edit, though we die before the reply comes.

        Those whose base a pull has replaced meanwhile are left for the next step.
        """
        with transaction.atomic():
            bases = dict(sync_state.locked([job.race_id for job in jobs]))
            same = [job for job in jobs if bases.get(job.race_id, "") == job.base_updated_at]
            sync_state.save([sync_state.new_state(job.race_id, job.row_id, sent=job.sending) for job in same], ["sent"])
        for job in set(jobs) - set(same):
            self._close(job)
        return same

    def _close(self, job: Job) -> None:
        self._open.pop(job.race_id, None)

    # --- new rows ---------------------------------------------------------------------------------------------------

    def _create(self, jobs: Sequence[Job]) -> None:
        """In bulk, all or none: those that are there already are met, those that are refused found by halving."""
        if not jobs:
            return
        try:
            replies = self._rows.create([job.document for job in jobs])
        except Conflict as error:
            self._adopt(jobs, error)
        except InvalidRequest as error:
            self._halve(jobs, error)
        except Unavailable as error:
            if affects_every_row(error) or len(jobs) == 1 or all(job.attempts < TRIES_TOGETHER for job in jobs):
                raise
            # As many as tell whether it is the server, or one row: the others come with the next step.
            self._each(jobs[:MOST], self._create_one)
        else:
            by_id = {row["$id"]: row for row in replies}
            self._store([(job, by_id[job.row_id]) for job in jobs if job.row_id in by_id])

    def _create_one(self, job: Job) -> Row:
        replies = self._rows.create([job.document])
        if not replies:
            raise Ambiguous("the answer leaves out the row")
        return replies[0]

    def _adopt(self, jobs: Sequence[Job], error: PollingError) -> None:
        there = self._rows.by_id([job.row_id for job in jobs])
        if not there:
            self._halve(jobs, error)
            return
        for job in jobs:
            if job.row_id in there:
                self._meet(job, there[job.row_id])
        self._create([job for job in jobs if job.row_id not in there])

    def _halve(self, jobs: Sequence[Job], error: PollingError) -> None:
        if len(jobs) > 1:
            fault = self._refusals.behind(error) if isinstance(error, InvalidRequest) else None
            if fault and fault.every_row:
                self._wait_for_table(jobs, fault)
                return
            middle = len(jobs) // 2
            self._create(jobs[:middle])
            self._create(jobs[middle:])
        elif isinstance(error, InvalidRequest):
            self._refused([(jobs[0], error)])
        else:
            self._postpone(jobs, error, own=True)

    # --- changed rows -----------------------------------------------------------------------------------------------

    def _change(self, jobs: Sequence[Job]) -> None:
        """Writes to the rows that hold what was agreed on, by a read of this moment; the others are merged.

        Each with its own call; whoever changed the row since our base makes it a conflict, which is merged too. Rows
        that are gone come last: to find out how many are may take all the time there is.
        """
        there = self._rows.by_id([job.row_id for job in jobs]) if jobs else {}
        found = [job for job in jobs if job.row_id in there]
        agreed = [job for job in found if job.is_agreed(there[job.row_id])]
        self._meet_rows([job for job in found if job not in agreed], there)
        self._each(self._announce(agreed), self._patch)
        self._recreate([job for job in jobs if job.row_id not in there])

    def _patch(self, job: Job) -> Row:
        return self._rows.update(job.row_id, job.changes, base_updated_at=job.base_updated_at)

    def _each(self, jobs: Sequence[Job], call: Callable[[Job], Row]) -> None:
        outcomes = in_parallel(call, jobs, has_time=self._rows.has_time)
        self._store(self._read_back([(job, reply) for job, reply in outcomes if isinstance(reply, dict)]))
        self._resolve([job for job, error in outcomes if isinstance(error, Conflict)])
        self._recreate([job for job, error in outcomes if isinstance(error, NotFound)])
        self._refused([(job, error) for job, error in outcomes if isinstance(error, InvalidRequest)])
        self._leave([(job, error) for job, error in outcomes if job.race_id in self._open], outcomes)

    def _read_back(self, replied: list[tuple[Job, Row]]) -> list[tuple[Job, Row]]:
        """The rows as they really are, where the server's replies prove nothing."""
        if not (replied and self._rows.must_read_back):
            return replied
        try:
            there = self._rows.extended_by(READ_BACK_SECONDS).by_id([job.row_id for job, _ in replied])
        except OutOfTime:  # as if not answered: the next run finds them
            return []
        return [(job, there.get(job.row_id, reply)) for job, reply in replied]

    def _resolve(self, jobs: Sequence[Job]) -> None:
        self._meet_rows(jobs, self._rows.by_id([job.row_id for job in jobs]) if jobs else {})

    def _meet_rows(self, jobs: Sequence[Job], there: Mapping[str, Row]) -> None:
        """Merges rows that were read; those that are gone are made again."""
        gone = [job for job in jobs if job.row_id not in there]
        for job in jobs:
            if job.row_id in there:
                self._meet(job, there[job.row_id])
        for job in (job for job in gone if job.is_new):
            self._postpone([job], Conflict("the row is there, and is not"), own=True)
        self._recreate([job for job in gone if not job.is_new])

    def _recreate(self, jobs: Sequence[Job]) -> None:
        """The rows were deleted in Appwrite; unless the deletion guard holds them, the next step makes them again.

        Not those of which somebody has found another row since.
        """
        if not jobs:
            return
        now, known = self._lease.now(), sync_state.states().filter(local_pk__in=[job.race_id for job in jobs])
        bases = {job.race_id: job.base_updated_at for job in jobs}
        found = [state for state in known if state.base_updated_at == bases[state.local_pk]]
        if found and deletion_guard.may_make_again(found, self._rows, now=now):
            for state in found:
                deletion_guard.make_again(known.filter(pk=state.pk), base_updated_at=state.base_updated_at, now=now)
        for job in jobs:
            self._close(job)

    def _leave(self, left: Sequence[Outcome], outcomes: Sequence[Outcome]) -> None:
        """What failed waits; where nothing that was answered got through, or nothing more would, all of it does.

        What our own deadline cut off, or found no time to begin, has not failed.
        """
        failed = [(job, error) for job, error in left if counts_as_failure(error)]
        tried = sum(1 for _, outcome in outcomes if outcome is not None and not isinstance(outcome, OutOfTime))
        of_all = [error for _, error in failed if affects_every_row(error) or len(failed) == tried]
        if of_all:
            raise of_all[0]
        for job, error in failed:
            self._postpone([job], error, own=True)

    # --- what came of a row -----------------------------------------------------------------------------------------

    def _store(self, replied: Sequence[tuple[Job, Row]]) -> None:
        """Replies become the new bases. One that nobody else had a hand in, as nearly all, is stored in bulk."""
        agreed = []
        for job, row in replied:
            remote, written = self._read(job, row), {**job.base, **job.changes}
            if remote and (filled := remote.filled(written)).values == written:
                agreed.append((job, filled))
            elif remote:
                self._settle(job, InboundRow(job.race_id, remote, based_on=job.base_updated_at))
        self._agree(agreed)
        created = sum(job.is_new for job, _ in replied)
        self._counts.created += created
        self._counts.changed += len(replied) - created

    def _agree(self, agreed: Sequence[tuple[Job, mapping.Remote]]) -> None:
        """Stores bases in bulk. A row that failed before says that the trouble is over: none needs to wait then."""
        now = self._lease.now()
        with transaction.atomic():
            bases = dict(sync_state.locked([job.race_id for job, _ in agreed]))
            # A pull may have met a later state of the row while the reply was on its way.
            fresh = [pair for pair in agreed if bases.get(pair[0].race_id, "") == pair[0].base_updated_at]
            found = [sync_state.agreed(job.race_id, remote, version=job.version, now=now) for job, remote in fresh]
            sync_state.save(found, sync_state.AGREED)
        for job, _ in agreed:
            self._close(job)
        if any(job.attempts for job, _ in agreed):
            sync_state.forget_waits()
            if not sync_state.failing().exists():
                logger.info("Appwrite takes the races again")

    def _meet(self, job: Job, row: Row) -> None:
        """A row that somebody changed, or made, since our base: merged now, what is left is pushed in the next step."""
        remote = self._read(job, row)
        if remote is None:
            return
        self._counts.merged += 1
        self._conflicts[job.race_id] += 1
        left = self._settle(job, InboundRow(job.race_id, remote, based_on=job.base_updated_at))
        if left and self._conflicts[job.race_id] >= MOST_CONFLICTS:
            settled = replace(job, base_updated_at=remote.updated_at)
            self._postpone([settled], Conflict(f"the row changed under {MOST_CONFLICTS} tries"), own=True)

    def _settle(self, job: Job, inbound: InboundRow) -> bool:
        self._close(job)
        try:
            return reconcile(inbound, now=self._lease.now()).left
        except (InterfaceError, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - one bad row must not stop the others
            logger.exception("row %s could not be merged", job.row_id)
            self._postpone([job], error, own=True)
            return False

    def _read(self, job: Job, row: Row) -> mapping.Remote | None:
        try:
            return mapping.read(row)
        except ValueError as error:
            self._bury(job, error)
            return None

    def _postpone(self, jobs: Sequence[Job], error: Exception, *, own: bool = False) -> None:
        """Lets races wait. What fails by itself so often, while others go, is given up."""
        if not jobs:
            return
        if own and jobs[0].attempts + 1 >= sync_state.MOST_ATTEMPTS:
            self._bury(jobs[0], error)
            return
        put_off([job.state() for job in jobs], error, now=self._lease.now(), own=own)
        self._counts.waiting += len(jobs)
        for job in jobs:
            self._close(job)

    def _refused(self, refused: Sequence[tuple[Job, InvalidRequest]]) -> None:
        """Rows that are refused are given up; those that their table refuses wait together until that is mended."""
        if not refused:
            return
        if fault := self._refusals.behind(refused[0][1]):
            self._wait_for_table([job for job, _ in refused], fault)
            return
        for job, error in refused:
            self._bury(job, error)

    def _wait_for_table(self, jobs: Sequence[Job], fault: TableRefuses) -> None:
        self._fault = fault
        self._postpone(jobs, fault)

    def _bury(self, job: Job, error: Exception) -> None:
        level = logging.INFO if sync_state.is_given_up_for(error) else logging.ERROR  # one message for one reason
        if sync_state.bury(job.state(), error, now=self._lease.now(), version=job.version):
            logger.log(level, "race %d cannot be pushed until a person acts: %s", job.race_id, error)
            self._counts.dead += 1
        self._close(job)
