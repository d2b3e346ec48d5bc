"""Which benches there are, and what each needs."""

from dataclasses import dataclass

EMBEDDED, MACHINES = "embedded", "machines"  # SQLite and the queue in it; PostgreSQL and Redis


@dataclass(frozen=True, slots=True)
class Bench:
    """`seconds` is about how long one run takes; ten times that, and it is taken for hung.

    A faster tick than the real 15 s brings enough samples for a percentile in minutes.
    """

    name: str
    seconds: int
    stacks: tuple[str, ...] = (EMBEDDED,)
    tick_seconds: int = 15
    appwrite: bool = False
    takes_servers: bool = False  # its own where the command names them


BENCHES = (
    Bench("last_five_minutes", 20),
    Bench("ingest_batch", 60, (EMBEDDED, MACHINES)),
    Bench("tick_scaling", 90),
    Bench("race_day", 300),
    Bench("tick_lateness", 250, (EMBEDDED, MACHINES), tick_seconds=1),
    Bench("slot_to_request", 240, (EMBEDDED, MACHINES), tick_seconds=1),
    Bench("five_races_to_appwrite", 120, (EMBEDDED, MACHINES), appwrite=True, takes_servers=True),
    Bench("twenty_races_to_appwrite", 340, (EMBEDDED, MACHINES), appwrite=True, takes_servers=True),
    Bench("appwrite_calls", 20, appwrite=True),
    Bench("push_thousand", 60, appwrite=True),
    Bench("sqlite_locks", 90, tick_seconds=1),
    Bench("retention", 240, (EMBEDDED, MACHINES)),
    Bench("lists", 240, (EMBEDDED, MACHINES)),
    Bench("random_kills", 330, (EMBEDDED, MACHINES)),
    Bench("memory_idle", 360),
)
BY_NAME = {bench.name: bench for bench in BENCHES}
