"""Code of users' networks for tests, and spaces that name it."""

from pathlib import Path

import pytest

from sweeper.models import code_files
from sweeper.models.own_networks import use_code

NETS = '''
import torch
from torch import nn


class TinyNet(nn.Module):
    """A conv with `width` filters, and `depth` poolings."""

    def __init__(self, input_shape, n_classes, width: int = 4, depth: int = 1, dropout: float = 0.0):
        super().__init__()
        channels, height, breadth = input_shape
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.pools = nn.Sequential(*[nn.MaxPool2d(2) for _ in range(depth)])
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width * (height >> depth) * (breadth >> depth), n_classes)

    def forward(self, images):
        return self.head(self.drop(self.pools(torch.relu(self.conv(images))).flatten(1)))
'''

SPACE = """
[space]
title = "own"

[protocol]
epochs = 2
validation = 0.25
confirm = 0.25

[model]
family = "custom"
network = "nets:TinyNet"
width = { choices = [2, 4] }
depth = { low = 1, high = 2 }

[train]
lr = 0.01

[variants.baseline]
width = 2
depth = 1
"""


def forget_code(patch: pytest.MonkeyPatch) -> None:
    """Has the test begin, and the next one go on, without files of code."""
    patch.setattr(code_files, "_in_use", {})
    patch.setattr(code_files, "_named", {})


def in_use(folder: Path, text: str = NETS, name: str = "nets.py") -> Path:
    """Writes a file of code, has this process use it, and returns its path."""
    path = folder / name
    path.write_text(text)
    use_code(path)
    return path
