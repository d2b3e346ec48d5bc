"""The sync's own records, read-only: checkpoints, servers and leases. The sync page shows them in words."""

from django.contrib import admin

from polling.admin.base import ReadOnlyAdmin, utc_column, yes_no_column
from polling.models import SyncCheckpoint, SyncLease, SyncServer


@admin.register(SyncCheckpoint)
class SyncCheckpointAdmin(ReadOnlyAdmin[SyncCheckpoint]):
    list_display = (
        "table",
        "target",
        "updated_at",
        utc_column("pulled_at"),
        utc_column("swept_at"),
        "deletion_guard",
        "error",
    )
    ordering = ("target", "table")


@admin.register(SyncServer)
class SyncServerAdmin(ReadOnlyAdmin[SyncServer]):
    list_display = (
        "target",
        "version",
        yes_no_column("compares_and_sets"),
        yes_no_column("webhook_enabled"),
        utc_column("probed_at"),
        "problem",
    )
    ordering = ("target",)


@admin.register(SyncLease)
class SyncLeaseAdmin(ReadOnlyAdmin[SyncLease]):
    list_display = ("work", "holder", utc_column("held_until"))
    ordering = ("work",)
