"""Ways to train a network on noise, each a function that returns its images a second."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NoReturn

import in_checkout  # noqa: F401 (before sweeper)
import numpy as np
import torch
from torch import Tensor, nn

from sweeper.config import Configuration, ConvNetConfig, TimmConfig, TrainConfig
from sweeper.engine.job import TrialJob, train_trial
from sweeper.events import Note
from sweeper.models.families import build
from sweeper.training import memory
from sweeper.training.device_data import DeviceImages, TrainingData
from sweeper.training.loop import fit

LAYOUT = torch.channels_last
# Seconds in which a process imports torch and trains for two epochs beside others.
LONGEST = 120


@dataclass(frozen=True)
class Case:
    """A network, its training, and the shape and number of its images."""

    name: str
    shape: tuple[int, int, int]
    n_images: int
    configuration: Configuration
    layout: torch.memory_format = LAYOUT


def cases(n_images: int) -> dict[str, Case]:
    """The networks; repeats those of the spaces lenet5 and cifar10_dropout, because reading a space needs Optuna."""
    lenet5 = Configuration(ConvNetConfig(padding=(2, 0, 0)), TrainConfig())
    convs = ConvNetConfig(
        filters=(32, 32, 64, 64, 128, 128, 256, 256),
        kernel_size=3,
        padding=1,
        pool_after=(2, 4, 6, 8),
        hidden=(512,),
        dropout_pool=0.2,
    )
    deep = Configuration(convs, TrainConfig(optimizer="sgd", lr=0.05, momentum=0.9, batch_size=32))
    large = replace(deep, train=replace(deep.train, batch_size=1024))
    in_bf16 = replace(large, train=replace(large.train, precision="bfloat16"))
    resnet = Configuration(TimmConfig(model_name="resnet18"), TrainConfig(batch_size=128))
    colour = (3, 32, 32)
    train = TrainConfig(rotation=10.0, translation=0.1, erasing_p=0.2)
    all_on = Configuration(ConvNetConfig(padding=(2, 0, 0), dropout=0.3, batch_norm=True), train)
    return {
        "LeNet-5": Case("LeNet-5", (1, 28, 28), n_images, lenet5),
        "LeNet-5, all on": Case("LeNet-5 with dropout and augmentation", (1, 28, 28), n_images, all_on),
        "8 convs": Case("8 convs, batches of 32", colour, n_images, deep),
        "8 convs, large": Case("8 convs, batches of 1,024", colour, n_images, large),
        "8 convs, bfloat16": Case("8 convs, batches of 1,024, bfloat16", colour, n_images, in_bf16),
        "ResNet-18": Case("ResNet-18 of timm", colour, n_images // 4, resnet),
    }


def with_loader(case: Case, device: torch.device, workers: int) -> float:
    """A typical script: a DataLoader with torchvision's transforms, and the loss read at every step."""
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    images, labels = _images(case)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.25])])

    class Images(Dataset[Any]):
        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, place: int) -> tuple[Tensor, int]:
            return transform(images[place].transpose(1, 2, 0)), int(labels[place])

    model = build(case.configuration.model, case.shape, 10).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(
        Images(),
        case.configuration.train.batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,  # Python 3.14 would pickle the images
    )
    seconds = 0.0
    for _ in range(2):  # the first warms up
        started = time.perf_counter()
        running = 0.0
        for batch, targets in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(batch.to(device)), targets.to(device))
            loss.backward()
            optimizer.step()
            running += loss.item()
        seconds = time.perf_counter() - started
    return case.n_images / seconds


def in_threads(case: Case, device: torch.device, n_trials: int, epochs: int, *, graphs: bool) -> float:
    """Images a second of trials that train together, each in a thread, all on one copy of the images.

    The first two epochs, in which graphs are captured, do not count. Raises RuntimeError if graphs cannot be captured.
    """
    _settle(device)
    data = noise(case, device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    streams = [torch.cuda.Stream(device) for _ in range(n_trials)] if device.type == "cuda" else []
    times: list[float] = []
    # The last thread to arrive reads the clock before any proceeds: an idle thread would have to wait for its turn.
    barrier = threading.Barrier(n_trials, action=lambda: times.append(time.perf_counter()))
    building = threading.Lock()
    errors: list[Exception] = []

    def train(seed: int) -> None:
        try:
            if device.type == "cuda":
                torch.cuda.set_device(device)
                torch.cuda.set_stream(streams[seed])
            with building:
                model = network(case, device, seed)
            training = fit(
                model, data, case.configuration.train, epochs=2 + epochs, seed=seed, graphs=graphs, tell=not_captured
            )
            for _ in range(2):
                next(training)
            barrier.wait()
            for _ in training:
                pass
            barrier.wait()
        except Exception as error:
            errors.append(error)
            barrier.abort()

    _in_threads(train, n_trials)
    if errors:
        raise errors[0]
    started, ended = times
    return n_trials * epochs * case.n_images / (ended - started)


def in_turn(
    case: Case,
    device: torch.device,
    n_threads: int,
    epochs: int,
    folder: Path,
    *,
    graphs: bool,
    n_trials: int = 3,
    tell: Callable[[str], None] | None = None,
) -> float:
    """Images a second of threads that each train `n_trials` trials one after another, as a worker's threads do.

    Counted is all of it: networks are built, graphs captured, a sixth of the images is validated on after every epoch,
    checkpoints are written to `folder`, and memory is given back. `tell` gets a line for steps that are not captured;
    without it they are an error.
    """
    _settle(device)
    whole = noise(case, device)
    n_held_out = case.n_images // 6
    held_out = DeviceImages(whole.train.images[:n_held_out], whole.train.labels[:n_held_out])
    data = replace(whole, validation=held_out)
    on_card = device.type == "cuda"
    streams = [torch.cuda.Stream(device) for _ in range(n_threads)] if on_card else []
    errors: list[Exception] = []

    def train(number: int) -> None:
        try:
            if on_card:
                torch.cuda.set_device(device)
                torch.cuda.set_stream(streams[number])
            for trial in range(n_trials):
                place = folder / f"{number}-{trial}"
                place.mkdir(parents=True)
                job = TrialJob(number, case.configuration, epochs, number * n_trials + trial, place, "noise")
                for message in train_trial(job, data, graphs=graphs):
                    if isinstance(message, Note):
                        (tell or not_captured)(message.text)
                memory.give_back(device, alone=n_threads == 1)
        except Exception as error:
            errors.append(error)

    if on_card:
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    _in_threads(train, n_threads)
    if errors:
        raise errors[0]
    return n_threads * n_trials * epochs * case.n_images / (time.perf_counter() - started)


class TimedLock:
    """A lock that adds up how long threads have waited for it, and holds the longest wait, in seconds."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.waited = self.longest = 0.0
        self.n_taken = 0

    def __enter__(self) -> None:
        began = time.perf_counter()
        self._lock.acquire()
        seconds = time.perf_counter() - began  # counted with the lock held
        self.waited, self.longest, self.n_taken = self.waited + seconds, max(self.longest, seconds), self.n_taken + 1

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def in_processes(case: Case, device: torch.device, n_processes: int) -> float:
    """Images a second of trials that train together, each in a process of its own, without graphs."""
    context = get_context("spawn")
    barrier = context.Barrier(n_processes)
    results = context.Queue()
    processes = [
        context.Process(target=_in_process, args=(case, device, seed, barrier, results), daemon=True)
        for seed in range(n_processes)
    ]
    for process in processes:
        process.start()
    slowest = float("inf")
    try:
        for _ in processes:
            result = results.get(timeout=LONGEST)
            if isinstance(result, str):
                raise RuntimeError(result)
            slowest = min(slowest, result)
    finally:
        for process in processes:
            process.kill()
            process.join()
    return n_processes * slowest  # they start together, and the slowest ends last


def _in_process(case: Case, device: torch.device, seed: int, barrier: Any, results: Any) -> None:
    try:
        _settle(device)
        training = fit(network(case, device, seed), noise(case, device), case.configuration.train, epochs=2, seed=seed)
        next(training)
        barrier.wait()
        results.put(next(training).images_per_second)
    except Exception as error:
        results.put(f"{type(error).__name__}: {error}")


def network(case: Case, device: torch.device, seed: int) -> nn.Module:
    """The case's network, on the device."""
    torch.default_generator.manual_seed(seed)
    return build(case.configuration.model, case.shape, 10).to(device).to(memory_format=case.layout)


def not_captured(text: str) -> NoReturn:
    """For fit's `tell`: raises, so that a training without graphs is not listed as one with graphs."""
    raise RuntimeError(text)


def _settle(device: torch.device) -> None:
    """Applies the settings of sweeper's workers."""
    torch.use_deterministic_algorithms(device.type == "cuda", warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def noise(case: Case, device: torch.device) -> TrainingData:
    """Images of noise in the case's shape and number as the train part, and an empty validation part."""
    images, labels = (torch.from_numpy(array).to(device) for array in _images(case))
    mean, std = torch.full((2, 1, case.shape[0], 1, 1), 127.0, device=device)
    return TrainingData(DeviceImages(images, labels), DeviceImages(images[:0], labels[:0]), mean, std, 10, case.layout)


def _images(case: Case) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (case.n_images, *case.shape), dtype=np.uint8)
    return images, random.integers(0, 10, case.n_images)


def _in_threads(train: Callable[[int], None], n: int) -> None:
    """Calls `train` with the numbers below n, each in a thread, and waits for them."""
    # Daemons, so that the script need not wait for them when its time is over.
    threads = [threading.Thread(target=train, args=(number,), daemon=True) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
