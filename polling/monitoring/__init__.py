"""Whether polling lives, as the tick, the pollers and their tasks find it, each problem reported once.

Entries: `heartbeat.record` and `heartbeat.alert_if_overdue`, `ping.ping_monitor`, `overdue_races.escalate`,
`reversal_alerts.report`, and `lasting_problem.LastingProblem` for what one process sees fail again and again.
"""
