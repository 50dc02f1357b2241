"""The kind of processor or GPU that trains: another kind rounds in another way, and last digits of results differ."""

import platform
from collections.abc import Sequence
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# The instruction sets by which torch, oneDNN and MKL choose their kernels: other kernels round in another way.
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "sve", "bf16")


def of(devices: Sequence[str]) -> str:
    """The kinds of these devices of this machine: GPUs by name, and for others the processor."""
    if not devices[0].startswith("cuda"):
        return of_this_machine()
    import torch

    return ", ".join(sorted({torch.cuda.get_device_name(device) for device in devices}))


def of_this_machine() -> str:
    """The processor's maker and instruction sets, as far as results depend on them."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    fields = dict(reversed([line.replace("\t", "").split(":", 1) for line in lines if ":" in line]))
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    maker = fields.get("vendor_id", "").strip()
    return " ".join([platform.machine(), *([maker] if maker else []), *(s for s in INSTRUCTION_SETS if s in flags)])


def change(before: str, now: str) -> str:
    """What to tell of trainings that go on on another kind; empty if it is the same, or one of them is not known."""
    if not before or not now or before == now:
        return ""
    return f"Trained on {before} so far, and on {now} from now on, which rounds in another way: last digits may differ"
