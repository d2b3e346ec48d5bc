"""What the sync keeps for itself, to look at; the sync page says it in words."""

from django.contrib import admin

from polling.admin.base import ReadOnlyAdmin, at, yes_no
from polling.models import SyncCheckpoint, SyncLease, SyncServer


@admin.register(SyncCheckpoint)
class SyncCheckpointAdmin(ReadOnlyAdmin[SyncCheckpoint]):
    list_display = ("table", "target", "updated_at", at("pulled_at"), at("swept_at"), "deletion_guard", "error")
    ordering = ("target", "table")


@admin.register(SyncServer)
class SyncServerAdmin(ReadOnlyAdmin[SyncServer]):
    list_display = (
        "target", "version", yes_no("compares_and_sets"), yes_no("webhook_enabled"), at("probed_at"), "problem",
    )  # fmt: skip
    ordering = ("target",)


@admin.register(SyncLease)
class SyncLeaseAdmin(ReadOnlyAdmin[SyncLease]):
    list_display = ("work", "holder", at("held_until"))
    ordering = ("work",)
