"""The space lenet5 in plain PyTorch and Optuna, as the scripts of peers.py share it, and their record of epochs."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
POOLINGS = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
# The space's baseline, which all ways try first.
BASELINE = {
    "filters": "[6,16,120]",
    "kernel_size": 5,
    "pooling": "max",
    "batch_norm": False,
    "activation": "relu",
    "dropout": 0.0,
    "optimizer": "adam",
    "lr": 1e-3,
    "schedule": "constant",
    "weight_decay": 0.0,
    "batch_size": 64,
}
MEAN, STD = 0.2860, 0.3530


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    """Draws a configuration of the space."""
    params: dict[str, Any] = {
        # Optuna stores no lists.
        "filters": trial.suggest_categorical("filters", ["[6,16,120]", "[8,24,120]", "[12,32,120]"]),
        "kernel_size": trial.suggest_categorical("kernel_size", [3, 5]),
        "pooling": trial.suggest_categorical("pooling", list(POOLINGS)),
        "batch_norm": trial.suggest_categorical("batch_norm", [False, True]),
        "activation": trial.suggest_categorical("activation", list(ACTIVATIONS)),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "optimizer": trial.suggest_categorical("optimizer", list(OPTIMIZERS)),
        "lr": trial.suggest_float("lr", 1e-4, 3e-1, log=True),
        "schedule": trial.suggest_categorical("schedule", ["constant", "step", "cosine", "one_cycle", "exponential"]),
        "weight_decay": trial.suggest_categorical("weight_decay", [0.0, 1e-5, 1e-4, 1e-3]),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128, 256]),
    }
    if params["optimizer"] == "sgd":
        params["momentum"] = trial.suggest_float("momentum", 0.8, 0.98)
    return params


def network(params: dict[str, Any]) -> nn.Sequential:
    """The network for images of 28x28 in one channel."""
    layers: list[nn.Module] = []
    channels, side, kernel = 1, 28 + 2 * 2, params["kernel_size"]
    for number, filters in enumerate(json.loads(params["filters"])):
        layers.append(nn.Conv2d(channels, filters, kernel, padding=2 if number == 0 else 0))
        side -= kernel - 1
        if params["batch_norm"]:
            layers.append(nn.BatchNorm2d(filters))
        layers.append(ACTIVATIONS[params["activation"]]())
        if number < 2:
            layers.append(POOLINGS[params["pooling"]](2))
            side //= 2
        channels = filters
    hidden = nn.Linear(channels * side * side, 84)
    layers += [nn.Flatten(), hidden, ACTIVATIONS[params["activation"]](), nn.Dropout(params["dropout"])]
    return nn.Sequential(*layers, nn.Linear(84, 10))


def optimizer_of(model: nn.Module, params: dict[str, Any], **options: Any) -> torch.optim.Optimizer:
    if params["optimizer"] == "sgd":
        options["momentum"] = params["momentum"]
    return OPTIMIZERS[params["optimizer"]](
        model.parameters(), lr=params["lr"], weight_decay=params["weight_decay"], **options
    )


def scheduler_of(
    optimizer: torch.optim.Optimizer, params: dict[str, Any], epochs: int, steps: int
) -> lr_scheduler.LRScheduler:
    """The schedule of so many epochs of so many steps, to be advanced after each step."""
    match params["schedule"]:
        case "step":
            return lr_scheduler.StepLR(optimizer, 5 * steps, gamma=0.5)
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
        case "one_cycle":
            return lr_scheduler.OneCycleLR(optimizer, params["lr"], epochs * steps, cycle_momentum=False)
        case "exponential":
            return lr_scheduler.StepLR(optimizer, steps, gamma=0.9)
    return lr_scheduler.ConstantLR(optimizer, factor=1.0)


def loaded(folder: Path) -> tuple[Subset[Any], Subset[Any]]:
    """The training and validation part of Fashion-MNIST as torchvision reads it."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
    data = datasets.FashionMNIST(str(folder), train=True, transform=transform)
    split = json.loads((folder / "split.json").read_text())
    return Subset(data, split["train"]), Subset(data, split["validation"])


def train(params: dict[str, Any], folder: Path, epochs: int) -> Iterator[float]:
    """Trains from DataLoaders, in this process: one loader worker is four times slower here. Yields the accuracies."""
    train_data, validation_data = loaded(folder)
    train_loader = DataLoader(train_data, batch_size=params["batch_size"], shuffle=True)
    validation_loader = DataLoader(validation_data, batch_size=256)
    model = network(params)
    optimizer = optimizer_of(model, params)
    scheduler = scheduler_of(optimizer, params, epochs, len(train_loader))
    criterion = nn.CrossEntropyLoss()
    for _ in range(epochs):
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in validation_loader:
                correct += n_correct(model(images), labels)
        yield correct / len(validation_data)


def n_correct(logits: Tensor, labels: Tensor) -> int:
    return int((logits.argmax(1) == labels).sum())


def append(record: Path, **event: Any) -> None:
    """Appends what has happened to the record that peers.py reads: an epoch, or the end of a trial."""
    with record.open("a") as file:
        file.write(json.dumps({**event, "time": time.time()}) + "\n")
