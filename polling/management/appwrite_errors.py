"""The errors of commands that cannot work with Appwrite."""

from django.core.management import CommandError

from polling.errors import Blocked, PollingError
from polling.management.exit_codes import BAD_INPUT, FAILED


def not_configured() -> CommandError:
    """The error where no Appwrite is configured: exit code 2."""
    names = "APPWRITE_ENDPOINT, APPWRITE_PROJECT_ID and APPWRITE_API_KEY"
    return CommandError(f"Appwrite is not configured; set {names}", returncode=BAD_INPUT)


def failure(error: PollingError) -> CommandError:
    """The error in one line: exit code 2 where the configuration must be changed, 1 where trying again may help."""
    code = BAD_INPUT if isinstance(error, Blocked) else FAILED
    return CommandError(" ".join(f"{type(error).__name__}: {error}".split()), returncode=code)
