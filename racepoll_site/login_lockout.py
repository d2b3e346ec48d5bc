"""What django-axes leaves to the site: a caller's address, and the page after too many failed logins.

Failures are counted in the database by user name and address together, so that neither another web process nor
another browser starts from zero, and nobody can lock staff out from elsewhere.
"""

import logging
from datetime import timedelta
from ipaddress import ip_address
from math import ceil
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

logger = logging.getLogger(__name__)


def client_address(request: HttpRequest) -> str | None:
    """The IP address of the caller; None where the server gives none."""
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def lockout_page(request: Any, response: HttpResponse | None = None, credentials: Any = None) -> HttpResponse:
    """The page (429) that says when to try again; the lock's beginning is logged, not every attempt under it."""
    name = str((credentials or {}).get("username", ""))
    tried = AccessAttempt.objects.filter(username=name, ip_address=request.axes_ip_address)
    last = tried.aggregate(last=Max("attempt_time"))["last"] or request.axes_attempt_time
    until = last + settings.AXES_COOLOFF_TIME
    if request.axes_failures_since_start is not None:  # counted now: this attempt began the lock
        words = "%d logins as %r from %s have failed; no more are tried before %s UTC"
        logger.warning(words, request.axes_failures_since_start, name, request.axes_ip_address, f"{until:%H:%M}")
    wait = max(until - request.axes_attempt_time, timedelta(seconds=1))
    context = {"until": until, "minutes": ceil(wait / timedelta(minutes=1)), "title": "Too many failed logins"}
    page = render(request, "admin/locked_out.html", context, status=429)
    page["Retry-After"] = str(ceil(wait.total_seconds()))
    return page
