"""sweeper: find the best small network for an image-classification data set, and be able to trust the answer.

From Python: `search`, `load_study`, `promote` and `load_model`; docs/how-to/python.md describes them. They are imported
when they are first used, so that `import sweeper` takes no time.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeper.api.model import Model, load_model
    from sweeper.api.promotion import Promotion, promote
    from sweeper.api.searching import search
    from sweeper.api.study import Study, load_study
    from sweeper.errors import SweeperError, UsageError

__all__ = [
    "Model",
    "Promotion",
    "Study",
    "SweeperError",
    "UsageError",
    "load_model",
    "load_study",
    "promote",
    "search",
]
# The modules of the public names.
_HOMES = {
    "Model": "sweeper.api.model",
    "Promotion": "sweeper.api.promotion",
    "Study": "sweeper.api.study",
    "SweeperError": "sweeper.errors",
    "UsageError": "sweeper.errors",
    "load_model": "sweeper.api.model",
    "load_study": "sweeper.api.study",
    "promote": "sweeper.api.promotion",
    "search": "sweeper.api.searching",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
