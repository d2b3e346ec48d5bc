"""Users and groups: Django's own pages, with forms that do not overwrite what somebody else has saved."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from polling.admin.concurrent_edits import NoOverwriteAdmin, NoOverwriteForm

if TYPE_CHECKING:
    UserForm = UserChangeForm[User]
    UserPages = UserAdmin[User]
else:
    UserForm = UserChangeForm
    UserPages = UserAdmin


class AccountForm(NoOverwriteForm, UserForm):
    """Django's own form of a user, which does not overwrite the edits of others."""


class AccountAdmin(NoOverwriteAdmin[User], UserPages):
    """The page of a user; the times of joining and of the last login are read-only."""

    form = AccountForm

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "last_login", "date_joined"]


class StaffGroupAdmin(NoOverwriteAdmin[Group], GroupAdmin):
    form = NoOverwriteForm


admin.site.unregister([User, Group])
admin.site.register(User, AccountAdmin)
admin.site.register(Group, StaffGroupAdmin)
