"""Whether polling lives, as the tick, the pollers and their tasks find it.

Entries: `heartbeat.record` and `heartbeat.alert_if_overdue`, `ping.ping_monitor`, `overdue_races.escalate`,
`reversal_alerts.report`, `lasting_problem.LastingProblem`. Whatever lasts is logged when it begins and when it ends:
what one process sees by a `LastingProblem`, what all hosts share by a row that has it (`…_since`, or an `Incident`).
"""
