"""How the commands say that Appwrite cannot be worked with."""

from django.core.management import CommandError

from polling.errors import Blocked, PollingError

FAILED, NOT_SET_UP = 1, 2


def not_configured() -> CommandError:
    """Nothing is configured: exit code 2."""
    names = "APPWRITE_ENDPOINT, APPWRITE_PROJECT_ID and APPWRITE_API_KEY"
    return CommandError(f"Appwrite is not configured; set {names}", returncode=NOT_SET_UP)


def failure(error: PollingError) -> CommandError:
    """In one line; exit code 2 where a person must change the set-up, 1 where trying again may do."""
    code = NOT_SET_UP if isinstance(error, Blocked) else FAILED
    return CommandError(" ".join(f"{type(error).__name__}: {error}".split()), returncode=code)
