"""What must be the same on all machines that train trials of one study."""

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# The instruction sets by which torch, oneDNN and MKL choose their kernels: other kernels round in another way.
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "sve", "bf16")


def software() -> dict[str, str]:
    """Versions by name, and a hash of sweeper's own code, of which two versions may have the same number."""
    return {
        "sweeper": f"{version('cnn-sweeper')} (code {_code_hash()})",
        "torch": version("torch"),
        "Python": platform.python_version(),
    }


def processor() -> str:
    """The processor's maker and instruction sets, as far as results depend on them."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    fields = dict(reversed([line.replace("\t", "").split(":", 1) for line in lines if ":" in line]))
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    maker = fields.get("vendor_id", "").strip()
    return " ".join([platform.machine(), *([maker] if maker else []), *(s for s in INSTRUCTION_SETS if s in flags)])


def difference(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """How the software of another machine differs, in words; empty if it does not."""
    return ", ".join(
        f"its {name} is {there.get(name, 'missing')}, here it is {value}"
        for name, value in here.items()
        if there.get(name) != value
    )


def _code_hash() -> str:
    root = Path(__file__).parents[2]
    content = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return content.hexdigest()[:8]
