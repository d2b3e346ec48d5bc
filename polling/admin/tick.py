"""Ticks: the passes of the master scheduler."""

from django.contrib import admin

from polling.admin import formats
from polling.admin.base import ReadOnlyAdmin, utc_column
from polling.admin.filters import when_filter
from polling.models import Tick


@admin.display(description="late by")
def late_by(tick: Tick) -> str:
    """How long after its slot the tick began."""
    return formats.precise_duration(tick.lateness)


@admin.display(description="took")
def took(tick: Tick) -> str:
    """How long the tick took, from its start to its commit."""
    return formats.precise_duration(tick.finished_at - tick.started_at if tick.finished_at else None)


@admin.register(Tick)
class TickAdmin(ReadOnlyAdmin[Tick]):
    list_display = (utc_column("slot_at"), late_by, took, "due", "claimed", "dispatched", "error")
    list_filter = (when_filter("slot_at"), ("error", admin.EmptyFieldListFilter))
    computed = (late_by, took)
