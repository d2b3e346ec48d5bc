"""The processes below a process, and their memory and processor time, read from /proc."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """PSS in megabytes, the largest process first: each shared page counts once, however many processes share it."""

    pss_mb: tuple[float, ...]
    cpu_seconds: float


def descendants(pid: int) -> list[int]:
    """Living processes below this one, itself left out."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat_fields(int(entry.name))) and fields[0] != "Z":
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, ahead = [], list(parents.get(pid, []))
    while ahead:
        found.append(ahead.pop())
        ahead += parents.get(found[-1], [])
    return sorted(found)


def cost(*roots: int) -> Cost:
    """The cost of these processes and all below them, children that have ended included."""
    pids = [pid for root in roots for pid in (root, *descendants(root))]
    sizes = sorted((_pss_kb(pid) / 1024 for pid in pids), reverse=True)
    return Cost(tuple(round(size, 1) for size in sizes), sum(map(_cpu_seconds, pids)))


def _stat_fields(pid: int) -> list[str]:
    """The fields from the state on (the name before them may hold blanks); empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def _pss_kb(pid: int) -> int:
    try:
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _cpu_seconds(pid: int) -> float:
    """User and system time, its own and that of children it has waited for."""
    fields = _stat_fields(pid)
    return sum(map(int, fields[11:15])) / TICKS_A_SECOND if fields else 0.0
