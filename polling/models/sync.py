"""What is known of the rows in Appwrite."""

from __future__ import annotations

from django.db import models


class SyncState(models.Model):
    """One synced row: the field values both sides last agreed on (`base`), and how pushing it goes.

    `target` names the Appwrite project and database, so that a new one starts from nothing.
    """

    target = models.CharField(max_length=200)
    table = models.CharField(max_length=40)
    local_pk = models.BigIntegerField()
    remote_id = models.CharField(max_length=36)
    base = models.JSONField(default=dict)
    base_updated_at = models.CharField(max_length=40, blank=True, help_text="the row's $updatedAt, as it was sent")
    base_sequence = models.CharField(max_length=40, blank=True)
    pushed_version = models.PositiveIntegerField(default=0)
    undo_pending = models.BooleanField(
        default=False, help_text="a field that alone is no reason to write was changed in Appwrite: it is written back"
    )
    sent = models.JSONField(null=True, blank=True, help_text="what a write that is not answered yet sets in the row")
    synced_at = models.DateTimeField(null=True, blank=True, help_text="when both sides last agreed")
    remote_deleted_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="when it was found deleted there; of a race that is gone, when its deletion was counted",
    )
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)
    dead_since = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True)
    expired_at = models.DateTimeField(
        null=True, blank=True, help_text="when its race was removed by age: the row in Appwrite is removed too"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["target", "table", "local_pk"], name="sync_state_local"),
            models.UniqueConstraint(fields=["target", "table", "remote_id"], name="sync_state_remote"),
        ]
        # All that a look for work asks for, so that it reads no base, which is large.
        indexes = [
            models.Index(
                fields=[
                    "target", "table", "local_pk", "pushed_version", "dead_since", "next_try_at", "remote_deleted_at",
                    "base_updated_at", "attempts", "synced_at", "expired_at",
                ],
                name="sync_state_work",
            ),
            models.Index(
                fields=["expired_at"], condition=models.Q(expired_at__isnull=False), name="sync_state_expired"
            ),
            models.Index(fields=["local_pk"], name="sync_state_race"),  # in whichever Appwrite: for a race that goes
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.table}/{self.remote_id}"


class SyncCheckpoint(models.Model):
    """How far pull and sweep of a table have got, what they found, and why they fail.

    `updated_at`, `row_id` and `pass_began_at` are instants and ids of the server, as it sent them. Poll logs are not
    pulled: there `error` is that of their push.
    """

    target = models.CharField(max_length=200)
    table = models.CharField(max_length=40)
    updated_at = models.CharField(max_length=40, blank=True, help_text="the $updatedAt of the last row read")
    row_id = models.CharField(max_length=36, blank=True)
    pass_began_at = models.CharField(max_length=40, blank=True, help_text="the server's clock when a pass began")
    pulled_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True, help_text="when the error, or one before it, began")
    table_generation = models.PositiveIntegerField(
        default=0, help_text="rises when the table was recreated in Appwrite"
    )
    echoes = models.PositiveBigIntegerField(default=0, help_text="rows read that were our own writes")
    overlap_hits = models.PositiveBigIntegerField(default=0, help_text="changes found only by looking back")
    sweep_after_id = models.CharField(max_length=36, blank=True, help_text="how far a sweep under way has got")
    texts_after_id = models.CharField(max_length=36, blank=True, help_text="up to which row long texts were compared")
    sweep_began_at = models.DateTimeField(null=True, blank=True)
    swept_at = models.DateTimeField(null=True, blank=True, help_text="when a sweep last came to its end")
    sweep_error = models.CharField(max_length=500, blank=True)
    sweep_failing_since = models.DateTimeField(null=True, blank=True)
    repairs = models.PositiveBigIntegerField(default=0, help_text="differences found only by a sweep")
    deletion_guard = models.CharField(max_length=300, blank=True, help_text="why deletions wait for staff")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["target", "table"], name="one_checkpoint_per_table")]

    def __str__(self) -> str:
        return f"{self.table} at {self.updated_at or 'the start'}"


class SyncConflict(models.Model):
    """Both sides changed a field since they last agreed, or one side a field that is not its own."""

    state = models.ForeignKey(SyncState, models.SET_NULL, null=True, related_name="conflicts")
    row = models.CharField(max_length=200, blank=True, help_text="the race and the row, in words: they may be gone")
    field = models.CharField(max_length=40)
    base = models.JSONField(null=True)
    local = models.JSONField(null=True)
    remote = models.JSONField(null=True)
    chosen = models.CharField(max_length=8, choices=[("local", "Django's"), ("remote", "Appwrite's")])
    policy = models.CharField(max_length=80, help_text="the rule that chose")
    found_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True, help_text="when staff looked at it")
    resolved_by = models.CharField(max_length=150, blank=True)
    resolution = models.CharField(max_length=8, blank=True, choices=[("ours", "kept ours"), ("theirs", "took theirs")])

    class Meta:
        ordering = ["-found_at"]
        indexes = [
            models.Index(fields=["resolved_at"], name="sync_conflict_resolved"),
            models.Index(fields=["-found_at"], name="sync_conflict_found"),
        ]

    def __str__(self) -> str:
        return f"{self.field}: {self.chosen}"

    @property
    def race_id(self) -> int | None:
        """The race by its key; None where what was known of its row is gone."""
        return self.state.local_pk if self.state else None


class UnmatchedRow(models.Model):
    """A row in Appwrite that belongs to no race and cannot become one, and why; deleted once it can."""

    target = models.CharField(max_length=200)
    table = models.CharField(max_length=40)
    row_id = models.CharField(max_length=255, help_text="some are longer than a single call takes")
    updated_at = models.CharField(max_length=40, blank=True, help_text="the row's $updatedAt when it was looked at")
    problem = models.CharField(max_length=500)
    found_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["target", "table", "row_id"], name="one_unmatched_row_per_id")]
        ordering = ["-found_at"]

    def __str__(self) -> str:
        return f"{self.table}/{self.row_id}"


class ChangeNotification(models.Model):
    """A row that Appwrite's webhook reported as changed and that no pull has read since."""

    target = models.CharField(max_length=200)
    row_id = models.CharField(max_length=36)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["target", "row_id"], name="one_notification_per_row")]

    def __str__(self) -> str:
        return self.row_id


class SyncServer(models.Model):
    """What is known of the Appwrite of a target: its version, what it can do, and whether its webhook works."""

    target = models.CharField(max_length=200, unique=True)
    version = models.CharField(max_length=20, blank=True)
    compares_and_sets = models.BooleanField(null=True, blank=True, help_text="whether it refuses a stale write")
    probed_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=500, blank=True)
    webhook_enabled = models.BooleanField(null=True, blank=True, help_text="empty: none, or the key may not look")
    webhook_problem = models.CharField(max_length=500, blank=True)
    webhook_checked_at = models.DateTimeField(null=True, blank=True)
    notified_at = models.DateTimeField(null=True, blank=True, help_text="when its webhook last reported a change")
    notifications = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.target


class SyncLease(models.Model):
    """Who may do a piece of work, such as the push of a table, by a conditional UPDATE; renewed per batch.

    Without a holder, `held_until` is until when nobody begins it, because the server was in difficulties.
    """

    work = models.CharField(max_length=40, unique=True)
    holder = models.CharField(max_length=32, blank=True)
    held_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.work}: {self.holder or 'free'}"


class QueuedTask(models.Model):
    """A task of the sync that waits in the queue, so that nobody queues a second one before it begins."""

    task = models.CharField(max_length=80, unique=True, help_text="the path of its function")
    waits_until = models.DateTimeField(null=True, blank=True, help_text="when it is taken for lost; empty: none waits")

    def __str__(self) -> str:
        return self.task


class PollLogPush(models.Model):
    """How far poll logs have been looked through for Appwrite, and when old ones were last deleted there."""

    target = models.CharField(max_length=200, unique=True)
    looked_to = models.DateTimeField(null=True, blank=True, help_text="logs finished before have been looked at")
    cleared_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"poll logs for {self.target}"


class FullScan(models.Model):
    """How far the scan over all races in Django has got, and when it last came to its end."""

    target = models.CharField(max_length=200, unique=True)
    after_pk = models.BigIntegerField(default=0)
    ended_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"scan for {self.target}"
