"""Twenty races every 15 s, until all can be read in Appwrite; and each race from its commit on."""

from collections.abc import Iterator

from bench.catalog import EMBEDDED, MACHINES
from bench.figures import Figure
from bench.run_options import RunOptions
from bench.time_to_appwrite import lag_figures, measure_rounds, round_figure

BARS = {EMBEDDED: 2.0, MACHINES: 2.0}


def run(options: RunOptions) -> Iterator[Figure]:
    """Measures through the queue and its workers, as in production."""
    rounds, details = measure_rounds(options, count=20, every=options.sized(15.0, 6.0))
    yield round_figure(rounds, BARS, options, details)
    yield from lag_figures(rounds, details)
