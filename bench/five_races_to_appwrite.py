"""Five races polled as one batch, until all five can be read in Appwrite."""

from collections.abc import Iterator

from bench.catalog import EMBEDDED, MACHINES
from bench.figures import Figure
from bench.run_options import RunOptions
from bench.time_to_appwrite import PEER_SECONDS, measure_rounds, round_figure

BARS = {EMBEDDED: 1.2, MACHINES: 1.0}


def run(options: RunOptions) -> Iterator[Figure]:
    """Measures through the queue and its workers, as in production."""
    rounds, details = measure_rounds(options, count=5, every=4)
    yield round_figure(rounds, BARS, options, {**details, "a_peer_on_functions_s": PEER_SECONDS})
