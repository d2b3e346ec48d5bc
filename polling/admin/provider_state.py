"""Provider states: tokens, circuit breaker and waits, the last import, and what answers could not be read."""

from datetime import datetime

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet, Value
from django.db.models.fields import DateTimeField
from django.http import HttpRequest
from django.utils.safestring import SafeString

from polling.admin import formats
from polling.admin.base import ReadOnlyAdmin, is_superuser, request_time, utc_column
from polling.admin.formats import count_noun
from polling.models import BreakerState, ProviderState
from polling.planning import replan_all
from polling.quota import request_budget
from polling.quota.token_bucket import Priority
from races.models import Race

BREAKER_TONES = {
    BreakerState.CLOSED: formats.GOOD,
    BreakerState.OPEN: formats.BAD,
    BreakerState.HALF_OPEN: formats.WARNING,
}


@admin.display(description="tokens")
def tokens(state: ProviderState) -> str:
    """How many requests may be sent now, of the most that can be saved up."""
    now: datetime = vars(state)["now"]
    limits = request_budget.token_bucket()
    return f"{limits.available(state.full_at, Priority.FORCED, now=now)} of {limits.burst}"


@admin.display(description="breaker", ordering="breaker")
def breaker(state: ProviderState) -> SafeString:
    """The state of the circuit breaker, as a badge."""
    return formats.badge(state.get_breaker_display(), BREAKER_TONES[BreakerState(state.breaker)])


@admin.display(description="far windows", ordering="throttle_factor")
def far_windows(state: ProviderState) -> str:
    """Whether windows before T-5 are polled as planned or throttled."""
    return "as planned" if state.throttle_factor == 1 else f"one slot in {state.throttle_factor}"


@admin.display(description="left out")
def left_out(state: ProviderState) -> str:
    """What of the last card could not be read, and how often."""
    return formats.count_list(state.left_out)


@admin.display(description="older answers refused", ordering="older_answers")
def older_answers(state: ProviderState) -> str:
    """How many answers were refused as older than what is stored, and when the last one came."""
    if state.older_answer_at is None:
        return "0"
    now: datetime = vars(state)["now"]
    return f"{state.older_answers}, the last {formats.relative_time(state.older_answer_at, now=now)}"


@admin.register(ProviderState)
class ProviderStateAdmin(ReadOnlyAdmin[ProviderState]):
    list_display = (
        "name", breaker, tokens, far_windows, utc_column("not_before"), "reason",
        "unknown_statuses", utc_column("last_import_at"), "last_import_error", "card_races", left_out, older_answers,
    )  # fmt: skip
    ordering = ("name",)
    actions = ("ask_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderState]:
        return super().get_queryset(request).annotate(now=Value(request_time(request), output_field=DateTimeField()))

    def has_clear_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    @admin.action(description="Ask again at once, without the wait or the breaker", permissions=["clear"])
    def ask_again(self, request: HttpRequest, providers: QuerySet[ProviderState]) -> None:
        """Ends the provider's wait, closes the breaker, and replans the races that they held back."""
        now = request_time(request)
        with transaction.atomic():
            held = request_budget.clear_waits(providers, now=now)
            for state in held:
                self.log_change(request, state, f"Asked again despite: {state.reason or state.breaker}")
        # After the commit, so that nobody waits for the provider's row; includes ended races whose result is re-polled.
        planned = Race.objects.filter(provider__in=[state.name for state in held], next_poll_at__isnull=False)
        replan_all(planned.values_list("pk", flat=True), now=now)
        self.message_user(request, f"{count_noun(len(held), 'provider')} asked again.", messages.SUCCESS)
