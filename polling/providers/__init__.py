"""The providers that are configured, by name."""

from functools import cache

from django.conf import settings

from polling.errors import Blocked
from polling.http import HttpClient
from polling.providers.base import Provider
from polling.providers.tab_affiliates import TabAffiliates
from polling.server_route import Route


@cache
def get(name: str) -> Provider:
    """The adapter of a configured provider, one a process. Raises Blocked for a name that is not configured."""
    if name not in settings.RACE_PROVIDERS:
        raise Blocked(f"the provider {name!r} is not configured; RACE_PROVIDERS names {configured()}")
    url = settings.SANDBOX_PROVIDER_URL if name == "sandbox" else settings.TAB_AFFILIATES_URL
    variable = "SANDBOX_PROVIDER_URL" if name == "sandbox" else "TAB_AFFILIATES_URL"
    route = Route("PROVIDER", variable, ca_file=settings.PROVIDER_CA_FILE, proxy=settings.PROVIDER_PROXY)
    return TabAffiliates(name, HttpClient(url, headers=settings.TAB_AFFILIATES_IDENTITY, route=route))


def configured() -> str:
    """The names in RACE_PROVIDERS, for people."""
    return ", ".join(settings.RACE_PROVIDERS) or "none"
