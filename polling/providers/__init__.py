"""The providers that are configured, by name, each behind the protocol `base.Provider`.

Entries: `get` makes or finds an adapter, `capabilities_of` says what it can do, `configured` names all. URLs, payloads
and status words of a provider stay inside; out come snapshots (`races.snapshots`) and errors (`polling.errors`).
"""

from functools import cache

from django.conf import settings

from polling.errors import Blocked
from polling.http.json_client import HttpClient
from polling.http.route import Route
from polling.providers.base import Capabilities, Provider
from polling.providers.tab_affiliates import TabAffiliates
from polling.request_policy import BatchScope

# A poll of a provider that is not configured (any more) makes no request: it fails at once, and many fit into a task.
NOT_CONFIGURED = Capabilities(BatchScope.NONE, max_batch=20)


@cache
def get(name: str) -> Provider:
    """The adapter of a configured provider, one per process. Raises Blocked for a name that is not configured."""
    if name not in settings.RACE_PROVIDERS:
        raise Blocked(f"the provider {name!r} is not configured; RACE_PROVIDERS names {configured()}")
    variable = settings.PROVIDER_URL_SETTINGS[name]
    route = Route("PROVIDER", variable, ca_file=settings.PROVIDER_CA_FILE, proxy=settings.PROVIDER_PROXY)
    client = HttpClient(getattr(settings, variable), headers=settings.TAB_AFFILIATES_IDENTITY, route=route)
    return TabAffiliates(name, client)


def capabilities_of(name: str) -> Capabilities:
    """What a provider can do; of one that is not configured, what lets its polls fail and record that."""
    try:
        return get(name).capabilities
    except Blocked:
        return NOT_CONFIGURED


def configured() -> str:
    """The names in RACE_PROVIDERS, for people."""
    return ", ".join(settings.RACE_PROVIDERS) or "none"
