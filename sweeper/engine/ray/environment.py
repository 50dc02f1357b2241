"""What must be the same on all machines that train trials of one study."""

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path


def software() -> dict[str, str]:
    """Versions by name, and a hash of sweeper's own code, of which two versions may have the same number."""
    return {
        "sweeper": f"{version('cnn-sweeper')} (code {_code_hash()})",
        "torch": version("torch"),
        "Python": platform.python_version(),
    }


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
