import pytest
import torch
from torch import nn

from sweeper.models.layers import Layer
from sweeper.models.traced import trace


class Own(nn.Module):
    """A network as users write it: with a parameter of its own, and a product that no layer does."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.mix = nn.Parameter(torch.ones(4, 4))
        self.head = nn.Linear(4, 3)

    def forward(self, images):
        return self.head(self.body(images).mean((2, 3)) @ self.mix)


def on_meta(make):
    with torch.device("meta"):
        return make()


def test_layers_of_any_module_are_told_in_order_and_the_rest_as_others():
    assert trace(on_meta(Own), (1, 8, 6)) == [
        Layer("body.0", "conv", (4, 6, 4), 4 * 9 + 4, 4 * 6 * 4 * 9),
        Layer("body.1", "batch_norm", (4, 6, 4), 8, 0),
        Layer("head", "linear", (3,), 4 * 3 + 3, 4 * 3),
        Layer("others", "others", (3,), 16, 16),
    ]


def test_misfit_names_images_reason_and_layer():
    refusal = r"^cannot take images of 1x2x2: .*Kernel size.* \(body.0\)$"
    with pytest.raises(ValueError, match=refusal):
        trace(on_meta(Own), (1, 2, 2))
