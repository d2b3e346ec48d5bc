"""The global pause of all polling: the one writer of who paused it, since when and why, with an audit entry."""

from datetime import datetime

from django.db import transaction

from polling.models import PollingSwitch
from races import audit
from races.audit import Actor


def pause(*, by: Actor, reason: str, now: datetime) -> bool:
    """Pauses all polling. Returns whether that changed anything; a pause that stands keeps its reason."""
    return _set_paused(True, reason=reason, by=by, message=f"All polling paused: {reason}", now=now)


def resume(*, by: Actor, reason: str = "", now: datetime) -> bool:
    """Resumes polling. Returns whether that changed anything."""
    message = f"All polling resumed: {reason}" if reason else "All polling resumed"
    return _set_paused(False, reason="", by=by, message=message, now=now)


def correct_reason(*, by: Actor, reason: str, now: datetime) -> bool:
    """Gives a pause that stands another reason and keeps its beginning. Returns whether that changed anything."""
    with transaction.atomic():
        paused = PollingSwitch.objects.filter(pk=1, paused=True).exclude(reason=reason)
        changed = bool(paused.update(reason=reason))
        if changed:
            _record_audit(by, f"Reason of the pause: {reason}", now=now)
    return changed


def _set_paused(paused: bool, *, reason: str, by: Actor, message: str, now: datetime) -> bool:
    with transaction.atomic():
        PollingSwitch.objects.get_or_create(pk=1)
        values = {"paused": paused, "reason": reason, "changed_at": now, "changed_by": by.username}
        changed = bool(PollingSwitch.objects.filter(pk=1, paused=not paused).update(**values))
        if changed:
            _record_audit(by, message, now=now)
    return changed


def _record_audit(by: Actor, message: str, *, now: datetime) -> None:
    row = PollingSwitch.objects.get(pk=1)
    audit.record([row], by=by, message_of=lambda _: message, name_of=lambda _: "polling switch", at=now)
