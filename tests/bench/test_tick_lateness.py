"""When the lateness of ticks can be judged."""

from bench import tick_lateness


def test_lateness_is_judged_only_where_all_workers_waited_nine_tenths_of_the_time() -> None:
    assert tick_lateness.doubt(0.9) == ""
    assert tick_lateness.doubt(0.85) == "all workers waited 85% of the time, not 90%"
