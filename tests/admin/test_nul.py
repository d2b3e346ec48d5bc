"""A NUL, which PostgreSQL takes in no text, is the caller's mistake: 400, wherever it stands."""

from urllib.parse import quote

import pytest
from django.test import Client

from tests.admin.conftest import StaffClient

pytestmark = pytest.mark.django_db

NUL = "\0"


@pytest.mark.parametrize(
    "address",
    [
        "/admin/races/race/?q=%00",
        "/admin/races/race/?status__exact=%00",
        "/admin/races/race/?%00=1",
        "/admin/polling/polllog/?state=a%00b",
        "/admin/races/race/%00/change/",
        "/admin/django_q/success/%00/change/",
        "/admin/login/?next=%00",
    ],
)
def test_in_an_address(address: str, admin_client: Client) -> None:
    assert admin_client.get(address).status_code == 400


def test_in_a_form(admin_client: Client) -> None:
    form = {"username": f"a{NUL}b", "password": "x"}
    assert Client().post("/admin/login/", form).status_code == 400  # multipart
    encoded = "&".join(f"{name}={quote(value)}" for name, value in form.items())
    kind = "application/x-www-form-urlencoded"
    assert Client().post("/admin/login/", encoded, content_type=kind).status_code == 400
    assert admin_client.post("/admin/races/race/", {"action": NUL, "_selected_action": "1"}).status_code == 400


def test_in_a_cookie_and_a_header(admin_client: Client) -> None:
    assert Client(headers={"Cookie": r'sessionid="a\000b"'}).get("/admin/").status_code == 400
    assert Client(headers={"User-Agent": f"a{NUL}b"}).get("/admin/login/").status_code == 400


def test_all_else_passes(staff_client: StaffClient) -> None:
    client = staff_client("view_race")
    assert client.get("/admin/races/race/?q=%E2%82%AC+%25+%5C0+00").status_code == 200
    assert client.post("/hooks/appwrite/", {"a": NUL}).status_code == 404  # it reads its body itself
