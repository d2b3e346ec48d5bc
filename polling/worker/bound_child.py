"""Runs a command that ends with the process that started it, however that ended.

`bound_child.py PARENT PROGRAM ARGUMENT…`, where PARENT is that process's number. The kernel sends the command SIGTERM
when its parent dies. A script that imports nothing of ours, so that it stays quick.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals) -> None:
    """Has the kernel send this process the signal when the thread that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number)


if __name__ == "__main__":
    die_with_parent(signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):  # it had died before the kernel knew of the bond
        sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - what our own process asked for; the bond outlives it
