"""The headers that real servers send with every reply, as 1.8.1 and 1.9.6 were seen to send them over plain HTTP."""

import re

from sandbox.appwrite.dialects import Dialect

_SDK = "X-SDK-Version, X-SDK-Name, X-SDK-Language, X-SDK-Platform, X-SDK-GraphQL"
_CACHE = "Cache-Control, Expires, Pragma"
_FORWARDED = "X-Forwarded-For, X-Forwarded-User-Agent"
_ALLOWED = {
    "1.9": (
        "Accept, Origin, Cookie, Set-Cookie, Content-Type, Content-Range, X-Appwrite-Project, X-Appwrite-Key, "
        "X-Appwrite-Dev-Key, X-Appwrite-Locale, X-Appwrite-Mode, X-Appwrite-JWT, X-Appwrite-Organization, "
        "X-Appwrite-Response-Format, X-Appwrite-Timeout, X-Appwrite-ID, X-Appwrite-Timestamp, X-Appwrite-Session, "
        "X-Appwrite-Platform, X-Appwrite-Impersonate-User-Id, X-Appwrite-Impersonate-User-Email, "
        f"X-Appwrite-Impersonate-User-Phone, {_SDK}, X-SDK-Profile, Range, {_CACHE}, X-Fallback-Cookies, "
        f"X-Requested-With, {_FORWARDED}"
    ),
    "1.8": (
        "Origin, Cookie, Set-Cookie, X-Requested-With, Content-Type, Access-Control-Allow-Origin, "
        "Access-Control-Request-Headers, Accept, X-Appwrite-Project, X-Appwrite-Key, X-Appwrite-Dev-Key, "
        "X-Appwrite-Locale, X-Appwrite-Mode, X-Appwrite-JWT, X-Appwrite-Response-Format, X-Appwrite-Timeout, "
        f"{_SDK}, X-Appwrite-ID, X-Appwrite-Timestamp, Content-Range, Range, {_CACHE}, {_FORWARDED}"
    ),
}
_BY_VERSION = {
    "1.9": {"X-Debug-Fallback": "false, true", "Access-Control-Max-Age": "86400"},
    "1.8": {"X-Debug-Fallback": "true", "Access-Control-Allow-Origin": "http://localhost"},
}
_NO_CACHING = {"Cache-Control": "no-cache, no-store, must-revalidate", "Expires": "0", "Pragma": "no-cache"}
_ROWS = re.compile(r"/tablesdb/[^/]+/tables/[^/]+/rows(?P<one>/[^/]+)?")
# In 60 s. Keys are exempt from the limits, but the headers show them all the same.
_LIMITS = {"POST": 120, "PUT": 120, "PATCH": 120, "DELETE": 60}
_LIMIT_SECONDS = 60
# A request that is refused before its route begins shows no limits.
_REFUSED_FIRST = (401, 403)


def usual_headers(
    dialect: Dialect, method: str, path: str, status: int, *, now: float, seconds: float
) -> dict[str, str]:
    """The headers of a reply; `path` is the address behind /v1 without its query, `now` is in seconds since 1970."""
    family = "1.9" if dialect.html_for_unknown_routes else "1.8"
    found = _ROWS.fullmatch(path)
    headers = {
        "Server": "Appwrite",
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
        "Access-Control-Allow-Headers": _ALLOWED[family],
        "Access-Control-Expose-Headers": "X-Appwrite-Session, X-Fallback-Cookies",
        "Access-Control-Allow-Credentials": "true",
        **_BY_VERSION[family],
        "X-Debug-Speed": f"{seconds:.6f}",
        "Connection": "keep-alive",
    }
    if found and method in _LIMITS and status not in _REFUSED_FIRST:
        limit = _LIMITS[method]
        headers |= {
            "X-Ratelimit-Limit": str(limit),
            "X-Ratelimit-Remaining": str(limit - 1),
            "X-Ratelimit-Reset": str(int(now) + _LIMIT_SECONDS),
        }
    if family == "1.9" and status == 403:  # answered before Appwrite's own headers are set
        del headers["X-Content-Type-Options"]
        headers["Server"] = "swoole-http-server"
    if found and found["one"] and (method, status) in (("GET", 200), ("DELETE", 204)):
        headers["X-Debug-Operations"] = "1"
    return headers | (_NO_CACHING if status >= 400 else {})
