"""The tables of polling: polls and ticks, providers and incidents, the pause, the heartbeat, and the sync's state.

`PollLog` and `Tick` are claims as well as records; every other table has one writer, which its docstring or the
architecture page names.
"""

from polling.models.heartbeat import Heartbeat
from polling.models.incident import Incident, IncidentKind
from polling.models.poll_log import FORCED_TRIGGERS, PollLog, PollState, SkipReason, Trigger
from polling.models.provider_state import BreakerState, ProviderState
from polling.models.retention import RetentionState
from polling.models.switch import PollingSwitch
from polling.models.sync import (
    ChangeNotification,
    FullScan,
    PollLogPush,
    QueuedTask,
    SyncCheckpoint,
    SyncConflict,
    SyncLease,
    SyncServer,
    SyncState,
    UnmatchedRow,
)
from polling.models.tick import Tick

__all__ = [
    "FORCED_TRIGGERS",
    "BreakerState",
    "ChangeNotification",
    "FullScan",
    "Heartbeat",
    "Incident",
    "IncidentKind",
    "PollLog",
    "PollLogPush",
    "PollState",
    "PollingSwitch",
    "ProviderState",
    "QueuedTask",
    "RetentionState",
    "SkipReason",
    "SyncCheckpoint",
    "SyncConflict",
    "SyncLease",
    "SyncServer",
    "SyncState",
    "Tick",
    "Trigger",
    "UnmatchedRow",
]
