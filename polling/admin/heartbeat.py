"""The heartbeat of the master tick."""

from django.contrib import admin

from polling.admin.base import ReadOnlyAdmin, utc_column
from polling.models import Heartbeat


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin[Heartbeat]):
    list_display = (
        utc_column("at"),
        utc_column("sleeping_until"),
        utc_column("overdue_since"),
        utc_column("late_since"),
        utc_column("monitor_unreachable_since"),
    )
