"""How many CPUs this process may use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path


def available_cpus(root: str | os.PathLike[str] = "/") -> int:
    """CPUs that the process may run on, or fewer where its control groups grant less; `root` has /proc and /sys."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([count, *(max(1, math.ceil(quota)) for quota in _quotas(Path(root)))])


def _quotas(root: Path) -> Iterator[float]:
    """CPUs' worth of time that the process's control groups and those around them grant (Linux, versions 1 and 2)."""
    try:
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        # Inside a container the path may be the host's, of which only the innermost group is mounted: on top.
        groups = [Path(path.lstrip("/")), *Path(path.lstrip("/")).parents]
        if not controllers:
            for group in groups:
                yield from _quota(_numbers(root / "sys/fs/cgroup" / group / "cpu.max"))
        elif "cpu" in controllers.split(","):
            for group in groups:
                at = root / "sys/fs/cgroup/cpu" / group
                yield from _quota(_numbers(at / "cpu.cfs_quota_us") + _numbers(at / "cpu.cfs_period_us"))


def _numbers(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def _quota(numbers: list[str]) -> Iterator[float]:
    """Time granted in each period, over that period; "max" and -1 are no limit."""
    if len(numbers) == 2 and numbers[0] not in ("max", "-1"):
        yield int(numbers[0]) / int(numbers[1])
