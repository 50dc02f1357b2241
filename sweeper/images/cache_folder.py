"""The folder that keeps downloaded and decoded data between runs."""

import os
from pathlib import Path

import platformdirs


def cache_root() -> Path:
    """SWEEPER_CACHE_DIR if it is set, else sweeper's folder in the user's cache."""
    chosen = os.environ.get("SWEEPER_CACHE_DIR")
    return Path(chosen) if chosen else platformdirs.user_cache_path("sweeper")
