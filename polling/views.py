"""Views that other services call: Appwrite's webhook."""

import logging

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseNotAllowed
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from polling import clock, sync_queue
from polling.appwrite.webhook import calls as webhook_calls
from polling.appwrite.webhook import change_notifications

logger = logging.getLogger(__name__)


@csrf_exempt
def appwrite_webhook(request: HttpRequest) -> HttpResponse:
    """Receives Appwrite's webhook: the row that a genuine call names is pulled soon; another call gets no reason."""
    if not (settings.APPWRITE_WEBHOOK_SECRET and settings.APPWRITE_ENDPOINT):
        raise Http404
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        body = request.body
    except RequestDataTooBig:
        return HttpResponse(status=413)
    except UnreadablePostError:
        return HttpResponse(status=400)
    if not _expected_caller(request).made(request.headers, body):
        return HttpResponseForbidden()
    _note_change(body, request.headers.get("X-Appwrite-Webhook-Events", ""))
    return HttpResponse(status=204)


def _expected_caller(request: HttpRequest) -> webhook_calls.Caller:
    return webhook_calls.Caller(
        url=settings.APPWRITE_WEBHOOK_URL or request.build_absolute_uri(),
        secret=settings.APPWRITE_WEBHOOK_SECRET,
        project=settings.APPWRITE_PROJECT_ID,
        webhook=settings.APPWRITE_WEBHOOK_ID,
    )


def _note_change(body: bytes, events: str) -> None:
    try:
        changed = webhook_calls.read(body, events=events, database=settings.APPWRITE_DATABASE_ID)
        if changed and change_notifications.note(changed, now=clock.now()):
            sync_queue.request_notified_pull()
    except Exception:  # noqa: BLE001 - ten failed calls switch the webhook off, and the next pull finds the change
        logger.exception("a change that Appwrite's webhook reported could not be kept")
