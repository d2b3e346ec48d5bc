"""What polling remembers."""

from polling.models.heartbeat import Heartbeat
from polling.models.incident import Incident, IncidentKind
from polling.models.poll_log import REQUESTS, PollLog, PollState, SkipReason, Trigger
from polling.models.provider_state import BreakerState, ProviderState
from polling.models.retention import RetentionState
from polling.models.switch import PollingSwitch
from polling.models.sync import SyncCheckpoint, SyncConflict, SyncHint, SyncLease, SyncServer, SyncState, SyncStray
from polling.models.tick import Tick

__all__ = [
    "REQUESTS",
    "BreakerState",
    "Heartbeat",
    "Incident",
    "IncidentKind",
    "PollLog",
    "PollState",
    "PollingSwitch",
    "ProviderState",
    "RetentionState",
    "SkipReason",
    "SyncCheckpoint",
    "SyncConflict",
    "SyncHint",
    "SyncLease",
    "SyncServer",
    "SyncState",
    "SyncStray",
    "Tick",
    "Trigger",
]
