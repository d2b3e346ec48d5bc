"""The routes beside the API: what was asked, and which faults come next."""

import json

from sandbox.appwrite.call import Reply
from sandbox.appwrite.faults import Faults, read_fault
from sandbox.request_log import RequestLog

# Outside /v1, so that no client of the API meets it by accident.
PREFIX = "/sandbox/"


def answer(method: str, path: str, raw: bytes, log: RequestLog, faults: Faults) -> Reply:
    match method, path.removeprefix(PREFIX):
        case "GET", "requests":
            entries = log.entries()
            return Reply(body={"total": len(entries), "requests": entries})
        case "DELETE", "requests":
            log.clear()
            return Reply(204)
        case "GET", "faults":
            return _shown(200, faults)
        case "POST", "faults":
            return _added(raw, faults)
        case "DELETE", "faults":
            faults.clear()
            return Reply(204)
        case _:
            return Reply(404, {"message": f"no control route {method} {path}"})


def _added(raw: bytes, faults: Faults) -> Reply:
    try:
        faults.add(read_fault(json.loads(raw)))
    except (AttributeError, ValueError) as exc:
        return Reply(400, {"message": str(exc)})
    return _shown(201, faults)


def _shown(status: int, faults: Faults) -> Reply:
    entries = faults.shown()
    return Reply(status, {"total": len(entries), "faults": entries})
