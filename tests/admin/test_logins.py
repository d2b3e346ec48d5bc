"""Logins are bounded: by name and address, for a while, for all web processes alike."""

import logging
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from tests.factories import START

pytestmark = pytest.mark.django_db

RIGHT = "of the officer"
HERE, ELSEWHERE = "203.0.113.7", "203.0.113.8"


@pytest.fixture(autouse=True)
def make_officer() -> None:
    User.objects.create_user("officer", password=RIGHT, is_staff=True)


def log_in(password: str, *, name: str = "officer", address: str = HERE, browser: str = "a") -> Any:
    """One try at the login page, from a browser that has no session yet."""
    client = Client(REMOTE_ADDR=address, headers={"User-Agent": browser})
    form = {"username": name, "password": password, "next": "/admin/"}
    return client.post(reverse("admin:login"), form)


def fail(times: int = settings.AXES_FAILURE_LIMIT, **how: str) -> list[int]:
    """So many wrong passwords; the statuses of the answers."""
    return [log_in("wrong", **how).status_code for _ in range(times)]


def test_five_wrong_passwords_end_the_tries_until_a_quarter_of_an_hour_has_passed() -> None:
    with time_machine.travel(START, tick=False) as clock:
        assert fail() == [200, 200, 200, 200, 429]
        clock.move_to(START + timedelta(minutes=4))
        page = log_in(RIGHT)
        assert page.status_code == 429
        assert page.headers["Retry-After"] == "660"
        text = page.content.decode()
        assert "Try again after <strong>03:15 UTC</strong>" in text
        assert "in 11 minutes" in text
        clock.move_to(START + timedelta(minutes=14, seconds=59))
        assert log_in(RIGHT).status_code == 429
        clock.move_to(START + timedelta(minutes=15, seconds=1))
        assert log_in(RIGHT).status_code == 302


def test_another_browser_is_no_way_around_it() -> None:
    assert fail(2, browser="a") + fail(3, browser="b") == [200, 200, 200, 200, 429]


def test_nobody_else_is_locked_out() -> None:
    User.objects.create_user("steward", password=RIGHT, is_staff=True)
    fail()
    assert log_in(RIGHT, address=ELSEWHERE).status_code == 302
    assert log_in(RIGHT, name="steward").status_code == 302
    assert log_in(RIGHT).status_code == 429


def test_a_login_that_is_right_forgets_the_wrong_ones() -> None:
    for _ in range(3):
        fail(4)
        assert log_in(RIGHT).status_code == 302
    assert not AccessAttempt.objects.exists()


def test_the_page_is_as_strict_as_all_others_and_holds_no_password() -> None:
    fail()
    page = log_in(RIGHT)
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "<script>" not in page.content.decode()
    stored = AccessAttempt.objects.values_list("post_data", flat=True)
    assert RIGHT not in page.content.decode() + "".join(stored)
    assert "wrong" not in "".join(stored)


def test_one_line_says_when_a_lock_begins_and_none_what_comes_after(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with time_machine.travel(START, tick=False):
        fail(30, name="officer\nof the desk")
    assert [record.getMessage() for record in caplog.records] == [
        r"5 logins as 'officer\nof the desk' from 203.0.113.7 have failed; no more are tried before 03:15 UTC"
    ]


def test_a_command_ends_the_lock() -> None:
    fail()
    call_command("axes_reset_username", "officer", verbosity=0)
    assert log_in(RIGHT).status_code == 302


def test_what_had_its_time_is_removed_at_the_next_login() -> None:
    with time_machine.travel(START, tick=False) as clock:
        for number in range(4):
            fail(1, name=f"guest {number}")
        clock.move_to(START + settings.AXES_COOLOFF_TIME + timedelta(seconds=1))
        log_in(RIGHT)
    assert not AccessAttempt.objects.exists()


@pytest.mark.parametrize("address", ["", "localhost", "999.1.1.1"])
def test_an_address_that_is_none_is_counted_too(address: str) -> None:
    assert fail(address=address)[-1] == 429
