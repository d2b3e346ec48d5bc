"""The URLs: the admin is the console; `/` leads there."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from polling import views
from polling.admin import login
from polling.admin.sync import page

urlpatterns = [
    path("admin/polling/sync/", include(page.urls)),
    path("admin/login/", login.login),  # before Django's own
    path("admin/", admin.site.urls),
    # With or without the slash: Appwrite takes a redirect for success and does not follow it.
    re_path("^hooks/appwrite/?$", views.appwrite_webhook, name="appwrite-webhook"),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]
