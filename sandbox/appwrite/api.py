"""The API: finds the route, checks who asks, and turns errors into replies."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from email.message import Message
from urllib.parse import parse_qsl, urlsplit

from sandbox.appwrite.call import USUAL, Call, Course, Reply, read_body, response_format, version_number
from sandbox.appwrite.dialects import Dialect
from sandbox.appwrite.errors import ApiError, error_body
from sandbox.appwrite.events import Event
from sandbox.appwrite.old_names import is_old, new_body, new_path, old_body
from sandbox.appwrite.routes import find_route, refuse_bad_ids
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

    def __init__(self, store: Store, dialect: Dialect, tell: Callable[[Sequence[Event]], None]) -> None:
        self._store = store
        self._dialect = self.dialect = dialect
        self._tell = tell
        self.version = dialect.version

    def answer(
        self,
        method: str,
        target: str,
        headers: Message,
        raw: bytes,
        *,
        now: datetime,
        course: Course = USUAL,
    ) -> Reply:
        """`target` is the address behind /v1, with its query."""
        try:
            reply = self._answer(method, target, headers, raw, now, course)
        except ApiError as exc:
            reply = self._refusal(exc, old_names=is_old(target))
        except Exception:  # noqa: BLE001 a fault of the stand-in must reach the client as a 500, not as silence
            logger.exception("%s %s failed", method, target)
            reply = self._refusal(ApiError("general_unknown"))
        reply.headers.update(self._warning(headers))
        return reply

    def _answer(self, method: str, target: str, headers: Message, raw: bytes, now: datetime, course: Course) -> Reply:
        address = urlsplit(target)
        old = is_old(address.path)
        route, placeholders = find_route(method, new_path(address.path) if old else address.path, self._dialect)
        # Ids are looked at last: a caller without access learns nothing about them.
        guest = self._check_access(route.scopes_for(old_names=old), route.open_to_guests, headers)
        refuse_bad_ids(placeholders)
        body = read_body(headers.get("Content-Type", ""), raw)
        call = Call(
            store=self._store,
            dialect=self._dialect,
            now=now,
            guest=guest,
            path=placeholders,
            query=parse_qsl(address.query, keep_blank_values=True),
            headers=headers,
            body=new_body(body) if old else body,
            course=course,
            tell=self._tell,
            old_names=old,
        )
        reply = route.carry_out(call)
        return replace(reply, body=old_body(reply.body)) if old and isinstance(reply.body, dict) else reply

    def _check_access(self, scopes: list[str], open_to_guests: bool, headers: Message) -> bool:
        """Whether the caller is a guest. Raises for a wrong project, a wrong key or a missing scope."""
        self._refuse_project(headers.get("X-Appwrite-Project"))
        key = headers.get("X-Appwrite-Key")
        if key is None:
            allowed = open_to_guests
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
        return key is None

    def _refuse_project(self, project: str | None) -> None:
        if not project:
            named = self._dialect.names_missing_project
            raise ApiError("project_id_missing" if named else "user_unauthorized")
        if project != PROJECT:
            raise ApiError("project_not_found", project)

    def _refusal(self, error: ApiError, *, old_names: bool = False) -> Reply:
        if error.kind == "general_route_not_found" and self._dialect.html_for_unknown_routes:
            return Reply(404, UNKNOWN_PAGE)
        message = error.message(with_id=self._dialect.ids_in_messages)
        return Reply(
            error.status, error_body(error.status, error.type(old_names=old_names), message, self._dialect.version)
        )

    def _warning(self, headers: Message) -> dict[str, str]:
        wanted = response_format(headers)
        if wanted is None or wanted <= version_number(self._dialect.version):
            return {}
        return {"X-Appwrite-Warning": "The current SDK is built for a newer Appwrite than this server."}
