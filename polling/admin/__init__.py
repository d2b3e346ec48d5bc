"""The console of staff, on Django's stock admin: a page per table, the strip above each, and the page of the sync.

Importing this package registers all pages; `login.login` and `sync.page` are for the URLs, `health_strip.cells` is for
the template. Filters, columns, forms and confirmations stay inside; what an action does is in `polling.staff`.
"""

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
