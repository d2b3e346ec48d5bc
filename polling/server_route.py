"""How a server is reached: which CA signed its certificate, and through which proxy."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import requests
import urllib3

from polling.errors import Blocked, PollingError, Unavailable

# What OpenSSL calls a certificate that is good, but of another host, or outside its time.
OTHER_HOST = (62, 64)
OUTSIDE_ITS_TIME = (9, 10)


@dataclass(frozen=True, slots=True)
class Route:
    """The way to the servers of one side, whose variables begin with its name: `PROVIDER_CA_FILE`, `PROVIDER_PROXY`.

    `url_variable` names the variable of the address itself. Nothing set: the public CAs, and no proxy.
    """

    side: str
    url_variable: str
    ca_file: str = ""
    proxy: str = ""

    def open(self, session: requests.Session) -> requests.Session:
        """Makes a session take this way, whatever the environment says of proxies and CAs."""
        session.trust_env = False
        if self.ca_file:
            session.verify = self.ca_file
        if self.proxy:
            session.proxies = {"http": self.proxy, "https": self.proxy}
        return session

    def problem(self, exc: BaseException, *, host: str) -> PollingError | None:
        """An error of the way, naming the variable to change; None for any other. It shows no password of a proxy."""
        causes = list(causes_of(exc))
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return Blocked(f"{host}: {self._of_certificate(cause)}")
        if any(isinstance(cause, requests.exceptions.ProxyError | urllib3.exceptions.ProxyError) for cause in causes):
            return (
                Unavailable(f"{host}: the proxy of {self.side}_PROXY does not let us through") if self.proxy else None
            )
        if isinstance(exc, OSError) and not isinstance(exc, requests.RequestException):
            return Blocked(f"{host}: the file of {self.side}_CA_FILE cannot be read") if self.ca_file else None
        return None

    def _of_certificate(self, error: ssl.SSLCertVerificationError) -> str:
        code, why = getattr(error, "verify_code", 0), getattr(error, "verify_message", "") or "not verified"
        if code in OTHER_HOST:
            return f"its certificate is of another host ({why}); check {self.url_variable}"
        if code in OUTSIDE_ITS_TIME:
            return f"its certificate is not valid now ({why})"
        return f"its certificate is not trusted ({why}); {self.side}_CA_FILE names the file of a CA of your own"


def causes_of(exc: BaseException) -> Iterator[BaseException]:
    """The error, and inside it what requests and urllib3 wrapped."""
    inner: object = exc
    while isinstance(inner, BaseException):
        yield inner
        reason = getattr(inner, "reason", None)
        inner = (
            reason
            if isinstance(reason, BaseException)
            else next((arg for arg in inner.args if isinstance(arg, Exception)), None)
        )
