"""Pretrained weights made on the spot: a small network of timm's, with random tensors, as its hub would keep it."""

import json

import timm
import torch
from safetensors.torch import save_file

NAME = "test_resnet"


def small(name=NAME, *, channels=3, classes=7, seed=0, **options):
    """A network whose tensors, statistics of batch norm too, are unlike those of any other seed."""
    torch.manual_seed(seed)
    network = timm.create_model(name, in_chans=channels, num_classes=classes, **options)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.1 * torch.rand_like(tensor))
    return network


def write(path, network):
    """Writes a network's tensors as safetensors, or as torch's if the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = network.state_dict()
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


def write_folder(folder, network, *, architecture=NAME, file="model.safetensors", **settings):
    """Writes a folder as the hub stores it."""
    write(folder / file, network)
    document = {"architecture": architecture, "pretrained_cfg": {"mean": [0.5], "std": [0.25], **settings}}
    (folder / "config.json").write_text(json.dumps(document))
    return folder
