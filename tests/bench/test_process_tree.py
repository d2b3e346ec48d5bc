"""The processes below a process."""

import os
import subprocess

from bench.process_tree import cost, descendants


def test_what_runs_below_a_process_is_found_and_weighed() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert child.pid in descendants(os.getpid())
        weighed = cost(child.pid)
        child.kill()
    assert len(weighed.pss_mb) == 1
    assert weighed.pss_mb[0] > 0
