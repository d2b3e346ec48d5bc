"""Whether polling lives: the heartbeat, the outside monitor, overdue races, problems that last."""
