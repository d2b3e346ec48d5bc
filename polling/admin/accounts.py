"""Users and groups: Django's own pages, whose forms do not overwrite what somebody else has saved meanwhile."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from polling.admin.stale import CheckedAdmin, CheckedForm


class AccountForm(CheckedForm, UserChangeForm):
    """Django's own form of a user, checked."""


class AccountAdmin(CheckedAdmin[User], UserAdmin):
    """When somebody logged in and joined is what the machine notes."""

    form = AccountForm

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "last_login", "date_joined"]


class StaffGroupAdmin(CheckedAdmin[Group], GroupAdmin):
    form = CheckedForm


for model, page in ((User, AccountAdmin), (Group, StaffGroupAdmin)):
    admin.site.unregister(model)
    admin.site.register(model, page)
