"""The cores and the memory that this process may use, by the system and its control groups."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
CPUS = Path("/sys/devices/system/cpu")
# Memory that the kernel frees for whoever needs it: pages of files, which count as used by the group that read them.
# The names are those of cgroup version 2; in version 1 they begin with total_ for a group with those under it.
_RECLAIMABLE = ("inactive_file", "active_file")


def usable_cores(environment: Mapping[str, str]) -> int:
    """The number of cores that this process may use: the least of affinity, cgroup quota and Slurm's allocation."""
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for folder in _cgroup_folders():
        quota = _cpu_quota(folder)
        if quota is not None:
            limits.append(max(1, math.floor(quota)))
    allotted = environment.get("SLURM_CPUS_PER_TASK", "")
    if allotted.isdigit() and int(allotted) > 0:
        limits.append(int(allotted))
    return min(limits)


def physical_cores(environment: Mapping[str, str]) -> int:
    """As `usable_cores`, but the threads of a core count once, where the system tells them."""
    usable = usable_cores(environment)
    if not hasattr(os, "sched_getaffinity"):
        return usable
    return min(usable, len({_threads_of_core(cpu) for cpu in os.sched_getaffinity(0)}))


def available_memory() -> int | None:
    """Bytes that can still be allocated, according to the system and the cgroups; None if neither is known."""
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) * 1024)
    except OSError:
        pass
    for folder in _cgroup_folders():
        for limit, usage in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            most, used = _number(folder / limit), _number(folder / usage)
            if most is not None and used is not None:
                limits.append(max(0, most - max(0, used - _reclaimable(folder))))
    return min(limits, default=None)


def _threads_of_core(cpu: int) -> str:
    """The threads of the core that has this one, as a list of numbers."""
    try:
        return (CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _cgroup_folders() -> list[Path]:
    """The control-group folders that limit this process: its own and their parents, in cgroup version 1 or 2."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and not {"cpu", "memory"} & set(controllers.split(",")):
            continue
        top = CGROUP / controllers
        folder = top / path.lstrip("/")
        folders += [folder, *(parent for parent in folder.parents if parent == top or top in parent.parents)]
    return folders


def _cpu_quota(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    old_quota, old_period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return old_quota / old_period if old_quota is not None and old_quota > 0 and old_period else None


def _reclaimable(folder: Path) -> int:
    """The bytes among a group's used memory that are free for the asking."""
    try:
        words = [line.split() for line in (folder / "memory.stat").read_text().splitlines()]
        counts = {name: int(n_bytes) for name, n_bytes in words}
    except (OSError, ValueError):
        return 0
    return sum(counts.get(f"total_{name}", counts.get(name, 0)) for name in _RECLAIMABLE)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None
