"""Members of staff for the tests of the admin, and their clients; and the stand-in of Appwrite."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
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
