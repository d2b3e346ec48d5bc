"""How a server is reached: which CA signed its certificate, and through which proxy."""

import ssl
from dataclasses import dataclass

import requests
import urllib3

from polling.errors import Blocked, PollingError, Unavailable
from polling.http.foreign_errors import causes_of

# OpenSSL's codes for a certificate that is good, but of another host, or outside its time.
OTHER_HOST = (62, 64)
OUTSIDE_ITS_TIME = (9, 10)
PROXY_ERRORS = (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)


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
        """Makes a session take this way, whatever proxies and CAs the environment names."""
        session.trust_env = False
        if self.ca_file:
            session.verify = self.ca_file
        if self.proxy:
            session.proxies = {"http": self.proxy, "https": self.proxy}
        return session

    def problem(self, exc: BaseException, *, subject: str) -> PollingError | None:
        """An error of the way as ours, naming the variable to change; None for any other error.

        `subject` begins the message. A proxy's URL is not quoted, because it may hold a password.
        """
        causes = list(causes_of(exc))
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return Blocked(f"{subject}: {self._certificate_problem(cause)}")
        if any(isinstance(cause, PROXY_ERRORS) for cause in causes):
            refused = f"{subject}: the proxy of {self.side}_PROXY does not let us through"
            return Unavailable(refused) if self.proxy else None
        if self.ca_file and isinstance(exc, OSError) and not isinstance(exc, requests.RequestException):
            return Blocked(f"{subject}: the file of {self.side}_CA_FILE cannot be read")
        return None

    def _certificate_problem(self, error: ssl.SSLCertVerificationError) -> str:
        code, why = getattr(error, "verify_code", 0), getattr(error, "verify_message", "") or "not verified"
        if code in OTHER_HOST:
            return f"its certificate is of another host ({why}); check {self.url_variable}"
        if code in OUTSIDE_ITS_TIME:
            return f"its certificate is not valid now ({why})"
        return f"its certificate is not trusted ({why}); {self.side}_CA_FILE names the file of a CA of your own"
