"""The poll log: the claim of a slot, and afterwards the record of its poll."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import models

from races.models import Race
from races.status import choices


class Trigger(StrEnum):
    """Why a poll was wanted.

    `slot` is planned, `retry` follows a failed or lost poll, `found` a race found late or moved, `recheck` an end that
    may be corrected. `forced` was asked for by staff or a command, `remote` by Appwrite.
    """

    SLOT = "slot"
    RETRY = "retry"
    FOUND = "found"
    FORCED = "forced"
    REMOTE = "remote"
    RECHECK = "recheck"


class PollState(StrEnum):
    """How far a poll has got.

    A poll that was asked for while another of its race runs is `waiting` for that to end; the first poll of a race that
    found no token is `waiting` for the next tick. A `missed` slot had no claim, a `lost` poll one whose lease ran out.
    """

    WAITING = "waiting"
    CLAIMED = "claimed"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    MISSED = "missed"
    LOST = "lost"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    """Why a slot was skipped.

    `stale`: a newer slot had begun; `quota`: no token was left; `breaker`: the provider is left alone; `paused`: staff
    paused all polling; `busy`: a poll of the same race was still running; `throttled`: tokens run short.
    """

    STALE = "stale"
    QUOTA = "quota"
    BREAKER = "breaker"
    PAUSED = "paused"
    BUSY = "busy"
    THROTTLED = "throttled"


FORCED_TRIGGERS = (Trigger.FORCED.value, Trigger.REMOTE.value)  # asked for, not planned
OPEN_STATES = (PollState.CLAIMED.value, PollState.RUNNING.value)


class PollLogQuerySet(models.QuerySet["PollLog"]):
    """The queries about polls."""

    def open(self) -> PollLogQuerySet:
        """Claims that are not finished: claimed or running."""
        return self.filter(state__in=OPEN_STATES)

    def waiting(self) -> PollLogQuerySet:
        """Polls that wait for another of their race to end, or for tokens."""
        return self.filter(state=PollState.WAITING.value)

    def unfinished(self) -> PollLogQuerySet:
        """Polls that are still to be made, or to be marked lost."""
        return self.filter(state__in=(*OPEN_STATES, PollState.WAITING.value))

    def lost(self, *, now: datetime) -> PollLogQuerySet:
        """Open claims whose lease has run out: the worker died."""
        return self.open().filter(lease_until__lt=now)


class PollLog(models.Model):
    """One wanted poll of a race. Its insertion is the claim, which only one host can win."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    race = models.ForeignKey(Race, models.CASCADE, related_name="poll_logs")
    slot_at = models.DateTimeField(help_text="the instant the poll was wanted")
    trigger = models.CharField(max_length=8, choices=choices(Trigger))
    state = models.CharField(max_length=8, choices=choices(PollState))
    reason = models.CharField(max_length=9, choices=choices(SkipReason), blank=True)
    requested_by = models.CharField(max_length=150, blank=True)
    retry_of = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="retries")

    claim = models.CharField(max_length=32, blank=True, help_text="token of the tick or request that won the claim")
    run = models.CharField(max_length=32, blank=True, help_text="token of the poller that took it")
    claimed_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    error_class = models.CharField(max_length=40, blank=True)
    message = models.CharField(max_length=500, blank=True)
    sample = models.TextField(blank=True, help_text="the start of an answer that could not be read")
    changed = models.BooleanField(default=False)
    starts_incident = models.BooleanField(default=False, help_text="the first failure after an answer")
    pushed_at = models.DateTimeField(null=True, blank=True, help_text="when the row reached Appwrite")

    objects = PollLogQuerySet.as_manager()

    class Meta:
        ordering = ["-slot_at"]
        constraints = [
            models.UniqueConstraint(fields=["race", "slot_at"], name="one_poll_per_slot"),
            models.UniqueConstraint(
                fields=["race"], condition=models.Q(state__in=OPEN_STATES), name="one_open_claim_per_race"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=OPEN_STATES) | models.Q(lease_until__isnull=False),
                name="open_claim_has_a_lease",
            ),
        ]
        indexes = [
            # Whole, not partial: SQLite does not use a partial index whose condition has a bound parameter.
            models.Index(fields=["state", "lease_until"], name="poll_log_open"),
            models.Index(fields=["claim"], name="poll_log_claim"),
            models.Index(fields=["run"], name="poll_log_run"),
            # All that the list of polls filters by, so that any combination is searched without reading the rows.
            models.Index(
                fields=["-slot_at", "-id", "state", "trigger", "error_class", "changed", "race"], name="poll_log_list"
            ),
            # With whether it is a race's first failure: the others are never sent where APPWRITE_POLL_LOGS says errors.
            models.Index(
                fields=["finished_at", "starts_incident"],
                condition=models.Q(pushed_at__isnull=True),
                name="poll_log_unpushed",
            ),
            models.Index(fields=["public_id"], condition=models.Q(pushed_at__isnull=False), name="poll_log_sent"),
        ]

    def __str__(self) -> str:
        return f"{self.slot_at:%Y-%m-%d %H:%M:%S} {self.trigger} {self.state}"

    @property
    def lateness(self) -> timedelta | None:
        """How long after its slot the poll began; never negative, None where it never did."""
        return max(self.started_at - self.slot_at, timedelta()) if self.started_at else None

    @property
    def duration(self) -> timedelta | None:
        """From the start of the poll to its committed end; never negative, though the clock be set back meanwhile."""
        if not (self.started_at and self.finished_at):
            return None
        return max(self.finished_at - self.started_at, timedelta())
