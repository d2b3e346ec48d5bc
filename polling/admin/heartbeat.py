"""The heartbeat of the master tick."""

from django.contrib import admin

from polling.admin.base import ReadOnlyAdmin, at
from polling.models import Heartbeat


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin[Heartbeat]):
    list_display = (at("at"), at("sleeping_until"), at("alerted_at"), at("late_since"), at("monitor_unreachable_since"))
