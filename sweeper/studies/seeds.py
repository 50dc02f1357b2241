"""Seeds derived from other values."""

import hashlib
import json
from typing import Any


def derive_seed(*parts: Any) -> int:
    """A well-mixed 32-bit seed from any values that JSON can represent, the same on every machine."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:4], "big")


def trial_seed(study_seed: int, number: int, repeat: int = 0) -> int:
    """The seed of a trial's trainings in one repeat, counted from 0; its folds share it."""
    return derive_seed(study_seed, "trial", number, *([repeat] if repeat else []))
