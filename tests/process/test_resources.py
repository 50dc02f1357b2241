import os
from pathlib import Path

import pytest

from sweeper.process import resources


@pytest.fixture
def machine(monkeypatch):
    """A machine with 16 cores, free of control groups."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    monkeypatch.setattr(resources, "_cgroup_folders", list)
    return monkeypatch


def group(monkeypatch, folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    monkeypatch.setattr(resources, "_cgroup_folders", lambda: [folder])


def test_affinity_bounds_the_cores(machine):
    machine.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7})
    assert resources.usable_cores({}) == 3


@pytest.mark.parametrize(("text", "cores"), [("max 100000", 16), ("250000 100000", 2), ("50000 100000", 1)])
def test_quota_bounds_the_cores(machine, tmp_path, text, cores):
    group(machine, tmp_path / "g", cpu_max=text)
    assert resources.usable_cores({}) == cores


def test_old_quota_bounds_the_cores(machine, tmp_path):
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "cpu.cfs_quota_us").write_text("300000")
    (tmp_path / "g" / "cpu.cfs_period_us").write_text("100000")
    machine.setattr(resources, "_cgroup_folders", lambda: [tmp_path / "g"])
    assert resources.usable_cores({}) == 3


@pytest.mark.parametrize(("text", "cores"), [("4", 4), ("64", 16), ("", 16), ("x", 16), ("0", 16)])
def test_slurm_bounds_the_cores(machine, text, cores):
    assert resources.usable_cores({"SLURM_CPUS_PER_TASK": text}) == cores


@pytest.mark.parametrize(
    ("threads", "environment", "cores"),
    [
        (["0,8", "0,8", "1,9"], {}, 2),
        (["0", "1", "2"], {}, 3),
        ([], {}, 3),  # the system does not tell them
        (["0", "1", "2"], {"SLURM_CPUS_PER_TASK": "2"}, 2),
    ],
)
def test_threads_of_a_core_are_one_physical_core(machine, tmp_path, threads, environment, cores):
    cpus = (0, 8, 1)
    machine.setattr(os, "sched_getaffinity", lambda pid: set(cpus))
    machine.setattr(resources, "CPUS", tmp_path)
    for cpu, text in zip(cpus, threads, strict=False):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(f"{text}\n")
    assert resources.physical_cores(environment) == cores


def test_memory_of_a_control_group_counts(monkeypatch, tmp_path):
    group(monkeypatch, tmp_path / "g", memory_max="1000000", memory_current="400000")
    assert resources.available_memory() == 600_000


@pytest.mark.parametrize(
    "stat", ["inactive_file 200000\nactive_file 100000\nanon 100000\n", "total_inactive_file 300000\ninactive_file 7\n"]
)
def test_pages_of_files_that_a_group_has_read_are_available(machine, tmp_path, stat):
    group(machine, tmp_path / "g", memory_max="1000000", memory_current="900000", memory_stat=stat)
    assert resources.available_memory() == 400_000


@pytest.mark.parametrize("stat", ["", "anon", "inactive_file many\n"])
def test_group_without_such_counts_has_what_it_does_not_use(machine, tmp_path, stat):
    group(machine, tmp_path / "g", memory_max="1000000", memory_current="900000", memory_stat=stat)
    assert resources.available_memory() == 100_000
