"""What a provider may be sent: how many requests now, whether it is left alone after failures, and incidents of it.

Entries: `request_budget.RequestBudget` (take tokens before a request), `request_budget.record_answers` (what came of
the requests), `throttle.adjust` (leave out far slots while tokens run short), `incidents` (open and close them). The
rules of the breaker and of refusals stay inside, as do all writes of what they need to ProviderState.
"""
