"""Five races polled as one batch, until all five can be read in Appwrite."""

from collections.abc import Iterator

from bench.catalog import EMBEDDED, MACHINES
from bench.figures import Figure
from bench.stage import Stage
from bench.to_appwrite import PEER_SECONDS, measured, whole

BARS = {EMBEDDED: 1.2, MACHINES: 1.0}


def run(stage: Stage) -> Iterator[Figure]:
    """Through the queue and its workers, as on any day."""
    rounds, details = measured(stage, count=5, every=4)
    yield whole(rounds, BARS, stage, {**details, "a_peer_on_functions_s": PEER_SECONDS})
