"""The tables of racing: meetings, races, runners and price changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import models

from races.case_folding import CaseFolded
from races.snapshots import Label, label
from races.status import TERMINAL, Escalation, FinalizedBy, Outcome, RaceStatus, ResultState, choices


def day_of(day: date) -> str:
    """A day as it stands in names: `28 Nov`."""
    return f"{day.day} {day:%b}"


class Meeting(models.Model):
    """One code's races at one track on one racing day; the day is the track's own."""

    provider = models.CharField(max_length=40)
    provider_meeting_id = models.CharField(max_length=80)
    name = models.CharField("track", max_length=120)
    country = models.CharField(max_length=8, blank=True)
    state = models.CharField(max_length=8, blank=True)
    code = models.CharField(max_length=16, blank=True, help_text="thoroughbred, harness or greyhound")
    racing_day = models.DateField(null=True, blank=True, help_text="the day of its first race, in the track's time")
    provider_day = models.DateField(null=True, blank=True, help_text="the day under which the provider lists it")
    timezone = models.CharField("time zone", max_length=40, default="UTC", help_text="an IANA zone")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "provider_meeting_id"], name="meeting_identity")]
        indexes = [models.Index(fields=["-racing_day", "name"], name="meeting_list")]

    def __str__(self) -> str:
        return f"{self.name}, {day_of(self.racing_day)}" if self.racing_day else self.name

    @property
    def zone(self) -> ZoneInfo:
        """The track's time zone, for display only; UTC if this system does not know its name."""
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo("UTC")


class RaceQuerySet(models.QuerySet["Race"]):
    """The queries about races that rules, tasks and pages use."""

    def due(self, *, now: datetime) -> RaceQuerySet:
        """Races whose next poll is due."""
        return self.filter(next_poll_at__lte=now)

    def open(self) -> RaceQuerySet:
        """Races that have not ended."""
        return self.exclude(status__in=TERMINAL)

    def open_past_start(self, *, now: datetime) -> RaceQuerySet:
        """Races whose advertised start has passed and that have not ended."""
        return self.filter(pk__in=Race.objects.open().values("pk"), advertised_start__lte=now)

    def locked(self) -> RaceQuerySet:
        """Takes row locks in primary-key order, so that two writers never wait for each other.

        The locks leave keys alone (`no_key`), so that inserting a poll log for the race need not wait for a poller.
        """
        return self.select_for_update(of=("self",), no_key=True).order_by("pk")


class Race(models.Model):
    """One contest of a meeting. The comment above each group of fields names its only writers.

    A field marked `decided` has races.decisions for a writer too.
    """

    # races.ingest, once: the identity. Number and time are attributes, they change. Made by hand it has no provider id.
    provider = models.CharField(max_length=40, blank=True)
    provider_race_id = models.CharField(max_length=80, blank=True)

    # races.ingest: what the provider reports, what follows from it, and how fresh it is
    meeting = models.ForeignKey(Meeting, models.PROTECT, null=True, blank=True, related_name="races")
    number = models.PositiveSmallIntegerField(null=True, blank=True)
    name = models.CharField(max_length=200, blank=True)
    distance_m = models.PositiveIntegerField("distance (m)", null=True, blank=True)
    provider_start = models.DateTimeField(null=True, blank=True)
    original_advertised_start = models.DateTimeField()
    advertised_start = models.DateTimeField(db_index=True)  # decided
    actual_start = models.DateTimeField(null=True, blank=True)
    status = models.CharField(  # decided
        max_length=16, choices=choices(RaceStatus), default=RaceStatus.SCHEDULED.value, db_index=True
    )
    provider_status = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=16, choices=choices(Outcome), blank=True)  # decided
    # result_state and result_version: decided
    result_state = models.CharField(max_length=16, choices=choices(ResultState), default=ResultState.NONE.value)
    result_version = models.PositiveIntegerField(default=0)
    protest = models.BooleanField(default=False)
    results = models.JSONField(default=list, blank=True)  # decided
    dividends = models.JSONField(default=list, blank=True)  # decided
    source_time = models.DateTimeField(null=True, blank=True, help_text="the provider's clock at its last answer")
    older_answers = models.PositiveSmallIntegerField(
        default=0, help_text="answers in a row that were not stored, because they were older than what is stored"
    )
    content_hash = models.CharField(max_length=64, blank=True)
    left_out = models.JSONField(
        default=dict, blank=True, help_text="what could not be read in its last full answer, and how often"
    )
    off_card_since = models.DateTimeField(
        null=True, blank=True, help_text="since when it is no longer on the provider's card"
    )
    detail_wanted = models.BooleanField(  # decided
        default=False, help_text="its status changed, and the detail has not been fetched since"
    )
    unproven_final_at = models.DateTimeField(  # decided
        null=True, blank=True, help_text="since when the provider reports Final without a placing, or before the start"
    )
    last_changed_at = models.DateTimeField(null=True, blank=True)  # decided

    # races.ingest and races.decisions: who ended it and when, and the version that every change of either raises
    finalized_by = models.CharField(max_length=16, choices=choices(FinalizedBy), blank=True)
    finalized_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1, help_text="rises with every change of its content")

    # races.decisions; races.ingest ends an override when the provider's start moves; nothing in the code sets a snooze
    start_override = models.DateTimeField(null=True, blank=True)
    polling_paused = models.BooleanField(default=False)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    staff_note = models.TextField(blank=True)
    poll_requested_at = models.DateTimeField(null=True, blank=True, help_text="set in Appwrite to force a poll")

    # polling.pollers; a poll that was lost counts as a failure by polling.dispatch
    last_poll_time = models.DateTimeField(null=True, blank=True, help_text="when an answer last arrived")
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="failed polls in a row")
    last_error = models.CharField(max_length=40, blank=True, help_text="the class of the last poll's error")

    # polling.monitoring.overdue_races
    escalation = models.CharField(
        max_length=16,
        choices=choices(Escalation),
        blank=True,
        db_index=True,
        help_text="started long ago without an end, or Final without a result",
    )

    # polling.planning
    next_poll_at = models.DateTimeField(null=True, blank=True, db_index=True)

    objects = RaceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "provider_race_id"],
                condition=~models.Q(provider_race_id=""),
                name="race_identity",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=[status.value for status in RaceStatus]),
                name="race_status_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(status=RaceStatus.FINALIZED.value)
                | (models.Q(finalized_at__isnull=False) & ~models.Q(finalized_by="")),
                name="race_finalized_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "advertised_start"], name="race_status_start"),
            models.Index(
                fields=["unproven_final_at"],
                condition=models.Q(unproven_final_at__isnull=False),
                name="race_unproven_final",
            ),
        ]
        permissions = [
            ("force_poll_race", "Can force a poll of a race"),
            ("finalize_race", "Can finalize a race"),
            ("reopen_race", "Can reopen a finalized race"),
            ("pause_race", "Can pause and resume the polling of a race"),
        ]

    def __str__(self) -> str:
        return f"{self._track_and_number}, {day_of(self.racing_day)}"

    def name_at(self, now: datetime) -> str:
        """Track and number, and the day unless it is today at the track: `Karewa Downs R2, 28 Nov`."""
        is_today = self.racing_day == now.astimezone(self.zone).date()
        return self._track_and_number if is_today else str(self)

    @property
    def _track_and_number(self) -> str:
        track = self.meeting.name if self.meeting else self.provider or "race"
        return f"{track} R{self.number or '?'}"

    @property
    def racing_day(self) -> date:
        """The day of its meeting, or without one the day of its advertised start."""
        meeting_day = self.meeting.racing_day if self.meeting else None
        return meeting_day or self.advertised_start.astimezone(self.zone).date()

    @property
    def zone(self) -> ZoneInfo:
        """The track's time zone; UTC for a race without a meeting."""
        return self.meeting.zone if self.meeting else ZoneInfo("UTC")

    @property
    def key(self) -> tuple[str, str]:
        """The race's identity: the provider and its race id."""
        return self.provider, self.provider_race_id

    @property
    def polled_provider(self) -> str:
        """The provider that a poll of the race asks; empty for a race that was created by hand."""
        return self.provider if self.provider_race_id else ""

    @property
    def is_waiting(self) -> bool:
        """Whether the provider has not reported its start, whatever the clock says."""
        return self.status == RaceStatus.SCHEDULED

    def is_before_start(self, *, now: datetime) -> bool:
        """Whether the race has not started, neither by the clock nor by the provider's report."""
        return self.is_waiting and self.advertised_start > now

    @property
    def is_finalized(self) -> bool:
        """Whether the race has ended, so that its regular polls stop."""
        return self.status in TERMINAL


def names_of(races: Sequence[Race], *, now: datetime, most: int = 5) -> str:
    """The names of the first races, and how many others there are: `A R1, A R2 and 3 others`."""
    names = ", ".join(race.name_at(now) for race in races[:most])
    return f"{names} and {len(races) - most} others" if len(races) > most else names


class Runner(models.Model):
    """A horse, harness horse or greyhound in a race, by its saddlecloth number. Odds are decimal, stake included."""

    race = models.ForeignKey(Race, models.CASCADE, related_name="runners")
    number = models.PositiveSmallIntegerField()
    letter = models.CharField(max_length=2, blank=True, help_text="the letter of a coupled entry: A of 1A")
    name = models.CharField(max_length=120)
    barrier = models.PositiveSmallIntegerField(null=True, blank=True)
    jockey = models.CharField(max_length=120, blank=True)
    trainer = models.CharField(max_length=120, blank=True)
    scratched_at = models.DateTimeField(null=True, blank=True)
    absent_since = models.DateTimeField(
        null=True, blank=True, help_text="since when full answers list the field without it"
    )
    fixed_win = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)
    fixed_place = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)
    tote_win = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)
    tote_place = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)

    class Meta:
        ordering = ["number", "letter"]
        constraints = [models.UniqueConstraint(fields=["race", "number", "letter"], name="runner_identity")]
        indexes = [models.Index(CaseFolded("name"), name="runner_name")]

    def __str__(self) -> str:
        return f"{self.label} {self.name}"

    @property
    def label(self) -> Label:
        """The name of the runner in results and dividends: 7, or "1A"."""
        return label(self.number, self.letter)


class PriceChange(models.Model):
    """A runner's odds from `observed_at` on; a row is written only when they moved."""

    runner = models.ForeignKey(Runner, models.CASCADE, related_name="price_changes")
    observed_at = models.DateTimeField()
    fixed_win = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)
    fixed_place = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)
    tote_win = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)
    tote_place = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["runner", "-observed_at"]),
            models.Index(fields=["observed_at"], name="price_change_observed"),
        ]

    def __str__(self) -> str:
        return f"{self.runner_id} {self.fixed_win or self.tote_win} at {self.observed_at:%H:%M:%S}"
