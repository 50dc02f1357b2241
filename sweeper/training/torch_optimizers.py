"""Torch's optimizers without the import of torch's compiler, which takes a worker as long as that of torch itself.

Torch marks some of their methods as not to be compiled, and for that imports the compiler at the first call of one.
sweeper compiles nothing, so here the methods are called without the mark. What they compute is the same.
"""

import inspect
from typing import TypeVar

import torch

# The methods that torch marks. `step` is also marked to compute no gradients.
MARKED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
Kind = TypeVar("Kind", bound=type[torch.optim.Optimizer])


def unmarked(kind: Kind) -> Kind:
    """The class of optimizers, with the bare methods of its base classes."""
    for name in MARKED:
        setattr(kind, name, inspect.unwrap(getattr(kind, name)))
    kind.step = torch.no_grad()(inspect.unwrap(kind.step))  # type: ignore[method-assign]
    return kind


@unmarked
class SGD(torch.optim.SGD):
    """torch.optim.SGD."""


@unmarked
class RMSprop(torch.optim.RMSprop):
    """torch.optim.RMSprop."""


@unmarked
class Adam(torch.optim.Adam):
    """torch.optim.Adam."""


@unmarked
class AdamW(torch.optim.AdamW):
    """torch.optim.AdamW."""
