"""The URLs: the admin is the console; `/` leads there."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from polling.admin.sync import page

urlpatterns = [
    path("admin/polling/sync/", include(page.urls)),
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]
