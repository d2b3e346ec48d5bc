"""What the requests of one stand-in share beside the API itself."""

from dataclasses import dataclass, field

from sandbox.appwrite.deliveries import Outbox
from sandbox.appwrite.faults import Faults
from sandbox.appwrite.holds import Gate
from sandbox.appwrite.latency import Pace
from sandbox.appwrite.store import Store
from sandbox.request_log import RequestLog


@dataclass(frozen=True)
class Backstage:
    store: Store
    faults: Faults
    outbox: Outbox
    log: RequestLog
    gate: Gate = field(default_factory=Gate)
    pace: Pace = field(default_factory=Pace)

    def close(self) -> None:
        self.gate.release()
        self.outbox.close()
        self.log.close()
        self.store.close()
