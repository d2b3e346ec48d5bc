"""The API: finds the route, checks the key, and turns errors into replies."""

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from email.message import Message
from urllib.parse import parse_qsl, urlsplit

from sandbox.appwrite.call import Call, Reply, read_body, response_format, version_number
from sandbox.appwrite.dialects import Dialect
from sandbox.appwrite.errors import ApiError, error_body
from sandbox.appwrite.events import Event
from sandbox.appwrite.routes import Route, find_route, refuse_bad_ids
from sandbox.appwrite.store import Store

PROJECT = "sandbox"
# Each key with the actions of its scopes; beside them `sandbox:rows.read,rows.write` is a key with these scopes
# alone. No key has the scope "public", which guests have.
KEYS = {"sandbox": ("read", "write"), "sandbox-read": ("read",)}
# Long enough to be sent compressed, as the real one is.
_STYLE = " ".join(f".page-{number} {{ margin: 0 auto; max-width: {number}0rem; }}" for number in range(1, 31))
UNKNOWN_PAGE = (
    f"<!DOCTYPE html><html><head><title>404</title><style>{_STYLE}</style></head>"
    "<body><h1>Page not found</h1></body></html>"
)

logger = logging.getLogger(__name__)


class Api:
    """Everything under /v1, without its HTTP."""

    def __init__(self, store: Store, dialect: Dialect, publish: Callable[[Sequence[Event]], None]) -> None:
        self.dialect = dialect
        self._store = store
        self._publish = publish

    def answer(
        self,
        method: str,
        target: str,
        headers: Message,
        raw: bytes,
        *,
        now: datetime,
        before_write: Callable[[], None] | None = None,
    ) -> Reply:
        """The reply to a request; `target` is the address behind /v1, with its query."""
        try:
            address = urlsplit(target)
            route, placeholders = find_route(method, address.path, self.dialect)
            # Ids are looked at last: a caller without access learns nothing about them.
            self._check_access(route, headers)
            refuse_bad_ids(placeholders)
            call = Call(
                store=self._store,
                dialect=self.dialect,
                now=now,
                path=placeholders,
                query=parse_qsl(address.query, keep_blank_values=True),
                headers=headers,
                body=read_body(headers.get("Content-Type", ""), raw),
                publish=self._publish,
                before_write=before_write,
            )
            reply = route.handler(call)
        except ApiError as exc:
            reply = self._error_reply(exc)
        except Exception:  # noqa: BLE001 a fault of the stand-in must reach the client as a 500, not as silence
            logger.exception("%s %s failed", method, target)
            reply = self._error_reply(ApiError("general_unknown"))
        wanted = response_format(headers)
        if wanted is not None and wanted > version_number(self.dialect.version):
            reply.headers["X-Appwrite-Warning"] = "The current SDK is built for a newer Appwrite than this server."
        return reply

    def _check_access(self, route: Route, headers: Message) -> None:
        """Raises ApiError for a wrong project, a wrong key, a missing scope, and a guest who asks for rows."""
        self._check_project(headers.get("X-Appwrite-Project"))
        key, scopes = headers.get("X-Appwrite-Key"), route.scopes
        if key is None:
            if route.is_for_rows:  # guests get as far as the table, which grants them nothing
                raise ApiError("user_unauthorized")
            allowed = route.is_public
        elif key in KEYS:
            allowed = any(scope.endswith(KEYS[key]) for scope in scopes)
        elif key.startswith("sandbox:"):
            allowed = not set(key.removeprefix("sandbox:").split(",")).isdisjoint(scopes)
        else:
            raise ApiError("user_unauthorized")
        if not allowed:
            role = "guests" if key is None else "applications"
            who = f"app.{PROJECT}@service.localhost (role: {role})"
            raise ApiError("general_unauthorized_scope", f"{who} missing scopes ({json.dumps(scopes)})")

    def _check_project(self, project: str | None) -> None:
        if not project:
            named = self.dialect.names_missing_project
            raise ApiError("project_id_missing" if named else "user_unauthorized")
        if project != PROJECT:
            raise ApiError("project_not_found", project)

    def _error_reply(self, error: ApiError) -> Reply:
        if error.kind == "general_route_not_found" and self.dialect.html_for_unknown_routes:
            return Reply(404, UNKNOWN_PAGE)
        message = error.message(with_id=self.dialect.ids_in_messages)
        return Reply(error.status, error_body(error.status, error.kind, message, self.dialect.version))
