"""The console of staff, on Django's stock admin."""

from django.contrib import admin

from polling.admin import (  # noqa: F401
    accounts,
    audit_log,
    heartbeat,
    incident,
    meeting,
    poll_log,
    polling_switch,
    provider_state,
    race,
    sync,
    task_queue,
    tick,
)

admin.site.site_header = admin.site.site_title = "racepoll"
admin.site.index_title = "Races, polls and sync"
admin.site.site_url = None  # the console is the site
