"""What an engineer who knows both libraries writes: tensors in memory, two processes, and Optuna's study in SQLite.

Each process has one thread, fused optimizers, and Optuna's pruner for its TPE sampler, Hyperband.
peers.py runs it: python peers_engineer.py DATA RECORD EPOCHS SECONDS
"""

import json
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
import torch
import torch.nn.functional as F
from peers_lenet import BASELINE, MEAN, STD, append, n_correct, network, optimizer_of, scheduler_of, suggest
from torch import Tensor
from torchvision import datasets

STORAGE, STUDY = "sqlite:///study.db", "lenet5"
PROCESSES = 2


def tensors(folder: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """The normalised images and the labels of both parts."""
    data = datasets.FashionMNIST(str(folder), train=True)
    images = data.data.unsqueeze(1).float().div_(255).sub_(MEAN).div_(STD)
    split = json.loads((folder / "split.json").read_text())
    return {part: (images[split[part]], data.targets[split[part]]) for part in ("train", "validation")}


def train(params: dict[str, Any], data: dict[str, tuple[Tensor, Tensor]], epochs: int) -> Iterator[float]:
    images, labels = data["train"]
    validation_images, validation_labels = data["validation"]
    model = network(params)
    optimizer = optimizer_of(model, params, fused=True)
    scheduler = scheduler_of(optimizer, params, epochs, -(-len(labels) // params["batch_size"]))
    for _ in range(epochs):
        model.train()
        for batch in torch.randperm(len(labels)).split(params["batch_size"]):
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
            scheduler.step()
        model.eval()
        with torch.inference_mode():
            parts = zip(validation_images.split(256), validation_labels.split(256), strict=True)
            correct = sum(n_correct(model(part), of_part) for part, of_part in parts)
        yield correct / len(validation_labels)


def work(number: int, data: dict[str, tuple[Tensor, Tensor]], record: Path, epochs: int, seconds: float) -> None:
    """Runs trials of the study in this process until the time is up."""
    torch.set_num_threads(1)
    torch.manual_seed(number)
    # Optuna's advice for several processes: running trials count as bad ones.
    sampler = optuna.samplers.TPESampler(seed=number, constant_liar=True)
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)
    study = optuna.load_study(study_name=STUDY, storage=STORAGE, sampler=sampler, pruner=pruner)

    def objective(trial: optuna.Trial) -> float:
        params = suggest(trial)
        accuracy = 0.0
        for epoch, accuracy in enumerate(train(params, data, epochs), start=1):
            append(record, trial=trial.number, epoch=epoch, accuracy=accuracy, params=params)
            trial.report(accuracy, epoch)
            if trial.should_prune():
                append(record, trial=trial.number, state="pruned")
                raise optuna.TrialPruned
        append(record, trial=trial.number, state="complete")
        return accuracy

    study.optimize(objective, timeout=seconds)


def main() -> None:
    folder, record = Path(sys.argv[1]), Path(sys.argv[2])
    optuna.create_study(study_name=STUDY, storage=STORAGE, direction="maximize").enqueue_trial(BASELINE)
    data = tensors(folder)
    for part in data.values():
        for tensor in part:
            tensor.share_memory_()
    context = get_context("spawn")
    arguments = data, record, int(sys.argv[3]), float(sys.argv[4])
    processes = [context.Process(target=work, args=(number, *arguments)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a process failed")


if __name__ == "__main__":
    main()
