"""Twenty races every 15 s, until all can be read in Appwrite; and each race from its commit on."""

from collections.abc import Iterator

from bench.catalog import EMBEDDED, MACHINES
from bench.figures import Figure
from bench.stage import Stage
from bench.to_appwrite import lags, measured, whole

BARS = {EMBEDDED: 2.0, MACHINES: 2.0}


def run(stage: Stage) -> Iterator[Figure]:
    """Through the queue and its workers, as on any day."""
    rounds, details = measured(stage, count=20, every=stage.sized(15.0, 6.0))
    yield whole(rounds, BARS, stage, details)
    yield from lags(rounds, details)
