"""How validation passes the images on."""

import numpy as np
import pytest
import torch
from torch import nn

from sweeper.training.device_data import on_device
from sweeper.training.validation import evaluate


class Linear(nn.Module):
    """A network that notes how many images it gets at once."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.sizes = nn.Linear(4, 3), []
        self.aux = nn.ModuleDict({"conv1": nn.Linear(4, 3)})

    def forward_heads(self, images):
        self.sizes.append(len(images))
        flat = images.flatten(1)
        return self.layer(flat), {"conv1": self.aux["conv1"](flat)}


@pytest.mark.parametrize(
    ("n_images", "sizes"), [(300, [64, 64, 64, 64, 44]), (128, [64, 64]), (127, [127]), (1, [1]), (193, [64, 64, 65])]
)
def test_full_batch_passes_in_two_parts_and_gives_what_it_would_whole(n_images, sizes):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (n_images, 1, 2, 2), dtype=np.uint8), rng.integers(0, 3, n_images)
    device, layout = torch.device("cpu"), torch.channels_last
    part = images, labels
    data = on_device(part, part, n_classes=3, mean=[0.5], std=[0.5], device=device, layout=layout)
    network, calls = Linear(), []
    loss, outputs = evaluate(network, data, data.validation, lambda: calls.append(1))
    assert network.sizes == sizes
    assert len(calls) == -(-n_images // 128)  # as the training loop counts them
    with torch.no_grad():
        whole = network.layer(data.scale(data.validation.images).flatten(1))
    assert outputs == pytest.approx(whole.numpy(), abs=1e-6)
    assert loss == pytest.approx(nn.functional.cross_entropy(whole, data.validation.labels).item(), rel=1e-5)
