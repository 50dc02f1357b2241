import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sweeper.training import memory

MIB = 1 << 20
CPU = torch.device("cpu")
# What torch says of a CPU allocation that failed.
REFUSED = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError(f"{REFUSED}allocate 1600 bytes. Error code 12 (Cannot allocate memory)"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("cannot allocate memory"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_lack_of_memory_is_known_by_every_name_it_has(error, expected):
    assert memory.is_out_of_memory(error) is expected


def test_error_is_a_trials_own_if_it_held_and_asked_for_half_of_the_limit(monkeypatch):
    monkeypatch.setattr(memory, "_peak", lambda: 300 * MIB)
    plain = RuntimeError("std::bad_alloc")
    asking = RuntimeError(f"{REFUSED}allocate {250 * MIB} bytes. Error code 12 (Cannot allocate memory)")
    assert memory.explains(plain, CPU, 600 * MIB)
    assert not memory.explains(plain, CPU, 601 * MIB)
    assert memory.explains(asking, CPU, 1100 * MIB)
    assert not memory.explains(asking, CPU, 1101 * MIB)


def test_without_a_limit_nobody_can_tell_whose_fault_it_was():
    assert not memory.explains(RuntimeError(f"{REFUSED}allocate {1 << 50} bytes."), CPU, None)


LIMITED = """
import torch
from pathlib import Path
from sweeper.training import memory

MIB = 1 << 20

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

cpu = torch.device("cpu")
memory.limit(status("VmData:") + 300 * MIB)
held = torch.zeros(200 * MIB, dtype=torch.uint8)
try:
    torch.zeros(200 * MIB, dtype=torch.uint8)
except RuntimeError as error:
    assert memory.is_out_of_memory(error), error
    assert memory._ASKED.search(str(error))[1] == str(200 * MIB), error
else:
    raise AssertionError("the limit does not hold")
high = memory._peak()
del held
small = [bytes(50_000) for _ in range(1000)]
small = small[-1:]  # the end of the heap is in use: malloc keeps the rest for itself unless it is told to give it back
memory.reset_peak(cpu)
assert memory._peak() < high - 100 * MIB, (memory._peak(), high)
memory.give_back(cpu)
memory.reset_peak(cpu)
assert memory._peak() < high - 180 * MIB, (memory._peak(), high)
held = torch.zeros(200 * MIB, dtype=torch.uint8)
assert memory._peak() > high - 20 * MIB, (memory._peak(), high)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits and tells a process's memory so")
def test_limit_holds_and_what_was_given_back_can_be_had_again_with_a_peak_of_its_own():
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, cwd=Path(__file__).parent.parent.parent
    )
    assert done.returncode == 0, done.stderr
