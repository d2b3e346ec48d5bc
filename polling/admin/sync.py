"""What is known of the rows in Appwrite."""

from django.contrib import admin
from django.db.models import F

from polling.admin.base import ReadOnlyAdmin, at
from polling.models import SyncCheckpoint, SyncConflict, SyncLease, SyncState


@admin.register(SyncState)
class SyncStateAdmin(ReadOnlyAdmin[SyncState]):
    list_display = (
        "__str__", "local_pk", "pushed_version", at("synced_at"),
        "attempts", at("next_try_at"), at("dead_since"), "error",
    )  # fmt: skip
    list_filter = (
        "table",
        ("dead_since", admin.EmptyFieldListFilter),
        ("remote_deleted_at", admin.EmptyFieldListFilter),
        "target",
    )
    search_fields = ("remote_id", "=local_pk")
    ordering = (F("dead_since").desc(nulls_last=True), "-synced_at")


@admin.register(SyncCheckpoint)
class SyncCheckpointAdmin(ReadOnlyAdmin[SyncCheckpoint]):
    list_display = ("table", "target", "updated_at", at("pulled_at"), "error")
    ordering = ("target", "table")


@admin.register(SyncConflict)
class SyncConflictAdmin(ReadOnlyAdmin[SyncConflict]):
    list_display = (at("found_at"), "state", "field", "base", "local", "remote", "chosen", "policy")
    list_filter = ("field", "chosen", "policy")
    list_select_related = ("state",)
    date_hierarchy = "found_at"


@admin.register(SyncLease)
class SyncLeaseAdmin(ReadOnlyAdmin[SyncLease]):
    list_display = ("table", "holder", at("held_until"))
    ordering = ("table",)
