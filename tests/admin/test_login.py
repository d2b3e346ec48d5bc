"""Where a login leads: to a page that is here, and nowhere else."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db
LOGIN, FRONT = reverse("admin:login"), reverse("admin:index")


def log_in(next_url: str, *, by: str) -> Any:
    """The answer to the last request, where the login leads, and that page."""
    User.objects.create_superuser("chief", password="let me in please")
    fields = {"username": "chief", "password": "let me in please"}
    client = Client()
    if by == "field":
        return client.post(LOGIN, {**fields, "next": next_url}, follow=True)
    return client.post(LOGIN, fields, query_params={"next": next_url}, follow=True)


@pytest.mark.parametrize("by", ["field", "query"])
@pytest.mark.parametrize(
    "refused",
    [
        "https://evil.example/",
        "//evil.example/admin/",
        "javascript:alert(1)",
        "/admin/no/such/page/",
        "/admin/nothing",
        "/accounts/profile/",
        "/nowhere/",
        "/admin/logout/",
        "/admin/login/",
        "/hooks/appwrite/",
        "",
    ],
)
def test_a_next_that_is_no_page_of_ours_leads_to_the_front_page(refused: str, by: str) -> None:
    response = log_in(refused, by=by)
    assert (response.redirect_chain, response.status_code) == ([(FRONT, 302)], 200)


@pytest.mark.parametrize("page", ["/admin/races/race/?status__exact=scheduled", "/admin/polling/sync/", "/admin/"])
def test_a_next_that_is_a_page_is_followed(page: str) -> None:
    response = log_in(page, by="field")
    assert (response.redirect_chain, response.status_code) == ([(page, 302)], 200)


def test_the_form_carries_only_a_next_that_can_be_followed(client: Client) -> None:
    assert (
        "evil.example"
        not in client.get(LOGIN, {"next": "//evil.example"}).content.decode().split("<form")[1].split('name="next"')[1]
    )
    html = client.get(LOGIN, {"next": "/admin/races/race/"}).content.decode()
    assert 'name="next" value="/admin/races/race/"' in html


def test_the_login_page_shows_no_strip(client: Client, admin_client: Client) -> None:
    assert "rp-strip" not in client.get(LOGIN).content.decode()
    assert "rp-strip" in admin_client.get(FRONT).content.decode()
    assert "rp-strip" not in admin_client.post(reverse("admin:logout")).content.decode()
