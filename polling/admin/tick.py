"""Ticks: the pulse of the master scheduler."""

from django.contrib import admin

from polling.admin import wording
from polling.admin.base import ReadOnlyAdmin, at
from polling.admin.filters import when
from polling.models import Tick


@admin.display(description="late by")
def late_by(tick: Tick) -> str:
    """How long after its slot the tick began."""
    return wording.short(tick.lateness)


@admin.display(description="took")
def took(tick: Tick) -> str:
    """From its start to its committed end."""
    return wording.short(tick.finished_at - tick.started_at if tick.finished_at else None)


@admin.register(Tick)
class TickAdmin(ReadOnlyAdmin[Tick]):
    list_display = (at("slot_at"), late_by, took, "due", "claimed", "dispatched", "error")
    list_filter = (when("slot_at"), ("error", admin.EmptyFieldListFilter))
    computed = (late_by, took)
