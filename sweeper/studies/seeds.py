"""Seeds derived from other values."""

import hashlib
import json
from typing import Any


def derive_seed(*parts: Any) -> int:
    """A well-mixed 32-bit seed from any values that JSON can represent, the same on every machine."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:4], "big")
