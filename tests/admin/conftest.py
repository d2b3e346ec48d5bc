"""Members of staff for the tests of the admin, and their clients; and the stand-in of Appwrite."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client

from tests.appwrite.conftest import appwrite, stand_in  # noqa: F401 - fixtures

StaffClient = Callable[..., Client]


@pytest.fixture
def staff_client(db: None) -> StaffClient:
    """Makes a client of a member of staff, no superuser, with these permissions (`view_race`)."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user("officer", is_staff=True)
        permissions = Permission.objects.filter(codename__in=codenames)
        assert permissions.count() == len(codenames)
        user.user_permissions.set(permissions)
        client = Client()
        client.force_login(user)
        return client

    return make


def messages_of(response: Any) -> list[str]:
    """The messages that the user sees after a request."""
    return [str(message) for message in get_messages(response.wsgi_request)]
