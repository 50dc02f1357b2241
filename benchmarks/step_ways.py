"""The ways of a training step that step.py times: the step as it is, and what might make it faster on a CPU."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.models import convnet, families
from sweeper.spaces import reader
from sweeper.training import step as step_module
from sweeper.training.device_data import TrainingData, on_device
from sweeper.training.optimizers import build_optimizer
from sweeper.training.step import Step

N_CLASSES = 10
N_BATCHES = 8
AS_IT_IS = "as it is"

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Net:
    """A network with its training, and the shape of its images."""

    name: str
    shape: Shape
    configuration: Configuration


def nets() -> list[Net]:
    """LeNet-5, the wide LeNet that usually wins a search of lenet5, and the baseline of vgg_small, in float32."""
    plain = TrainConfig(optimizer="adam", batch_size=64)
    wide = ConvNetConfig(
        filters=(12, 32, 120), kernel_size=3, padding=(2, 0, 0), pooling="avg", batch_norm=True, activation="gelu"
    )
    vgg = reader.load("vgg_small", ["precision=float32"]).variants["baseline"].configuration
    return [
        Net("LeNet-5", (1, 28, 28), Configuration(ConvNetConfig(padding=(2, 0, 0)), plain)),
        Net("wide LeNet", (1, 28, 28), Configuration(wide, plain)),
        Net("vgg_small", (3, 32, 32), vgg),
    ]


def data_of(net: Net, layout: torch.memory_format = torch.channels_last) -> TrainingData:
    """Random images, N_BATCHES batches of them."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (N_BATCHES * net.configuration.train.batch_size, *net.shape), dtype=np.uint8)
    labels = rng.integers(0, N_CLASSES, len(images))
    mean, std = [0.5] * net.shape[0], [0.25] * net.shape[0]
    part, device = (images, labels), torch.device("cpu")
    return on_device(part, part, n_classes=N_CLASSES, mean=mean, std=std, device=device, layout=layout)


class Bare(Step):
    """The step without the gradient norm and without the epoch's running metrics: what both cost at most."""

    def __call__(self, batch: Tensor) -> None:
        inputs, _ = self._inputs(batch)
        loss = F.cross_entropy(self._model(inputs), self._data.train.labels[batch])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


@dataclass(frozen=True)
class Way:
    """A way of the step: how its parts are made, what is in force while they are made, and while the step runs."""

    kind: type[Step] = Step
    layout: torch.memory_format = torch.channels_last
    optimizer: Callable[[nn.Module, TrainConfig], torch.optim.Optimizer] = build_optimizer
    change: Callable[[nn.Module, torch.optim.Optimizer], nn.Module] = lambda model, optimizer: model
    making: Callable[[], AbstractContextManager[Any]] = nullcontext
    running: Callable[[], AbstractContextManager[Any]] = nullcontext
    families: tuple[str, ...] = ()  # of the nets that it is for; empty: for all

    def make(self, net: Net) -> "Running":
        data, train = data_of(net, self.layout), net.configuration.train
        torch.manual_seed(0)
        with self.making():
            model = families.build(net.configuration.model, net.shape, N_CLASSES).to(memory_format=self.layout).train()
            optimizer = self.optimizer(model, train)
            model = self.change(model, optimizer)
        made = self.kind(model, data, train, optimizer, torch.Generator().manual_seed(0))
        return Running(made, torch.arange(len(data.train)).split(train.batch_size), self.running, model)


@dataclass(frozen=True)
class Running:
    """A step with its batches, and what is in force while it runs."""

    step: Step
    batches: tuple[Tensor, ...]
    running: Callable[[], AbstractContextManager[Any]]
    model: nn.Module


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _norm_one_in(n: int) -> Callable[[], AbstractContextManager[None]]:
    """The gradient norm at one of `n` steps; 0: never, as without clipping and without its metric."""
    full = nn.utils.get_total_norm

    def measured() -> AbstractContextManager[None]:
        steps = count()

        def norm(gradients: Any) -> Tensor:
            return full(gradients) if n and next(steps) % n == 0 else torch.zeros(())

        return _replaced(step_module.nn.utils, "get_total_norm", norm)

    return measured


def _scaling(scale: Callable[[TrainingData, Tensor], Tensor]) -> Callable[[], AbstractContextManager[None]]:
    return lambda: _replaced(TrainingData, "scale", scale)


def _layout_first(data: TrainingData, images: Tensor) -> Tensor:
    """Same bits: the layout changes with the type, in one pass."""
    return images.to(torch.float32, memory_format=data.layout).sub_(data.mean).div_(data.std)


def _one_product(data: TrainingData, images: Tensor) -> Tensor:
    """Other bits: one product and one sum, in one pass."""
    return torch.addcmul(-data.mean / data.std, images.to(torch.float32, memory_format=data.layout), 1 / data.std)


def _adam(**options: Any) -> Callable[[nn.Module, TrainConfig], torch.optim.Optimizer]:
    def build(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        return kind(model.parameters(), config.lr, weight_decay=config.weight_decay, **options)

    return build


def _half_dead(model: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
    """Half of the units of each conv and hidden layer never fire, and Adam's moments of them have become denormal."""
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)][:-1]
    for layer in layers:
        half = len(layer.weight) // 2
        with torch.no_grad():
            assert layer.bias is not None
            layer.bias[:half] = -1e3
        for parameter in (layer.weight, layer.bias):
            moments = torch.zeros_like(parameter)
            moments[:half] = 5.6e-45  # 0.9 of it rounds to itself
            optimizer.state[parameter] = {
                "step": torch.tensor(1.0),
                "exp_avg": moments,
                "exp_avg_sq": moments.clone(),
            }
    for parameter in model.parameters():
        optimizer.state.setdefault(
            parameter,
            {
                "step": torch.tensor(1.0),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            },
        )
    return model


@contextmanager
def _flushing() -> Iterator[None]:
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class _SlicedPool(nn.Module):
    """A max pool by 2 as three maxima of slices: the same maps; of equal pixels, both get half of the gradient."""

    def forward(self, maps: Tensor) -> Tensor:
        maps = maps[:, :, : maps.shape[2] // 2 * 2, : maps.shape[3] // 2 * 2]
        rows = torch.maximum(maps[:, :, ::2], maps[:, :, 1::2])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


def _with_sliced_pools(model: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            owner = model.get_submodule(name.rpartition(".")[0])
            setattr(owner, name.rpartition(".")[2], _SlicedPool())
    return model


def _activation_first() -> AbstractContextManager[None]:
    return _replaced(convnet, "_may_pool_first", lambda *arguments: False)


WAYS: Mapping[str, Way] = {
    AS_IT_IS: Way(),
    "gradient norm at one step of 10": Way(running=_norm_one_in(10)),
    "no gradient norm": Way(running=_norm_one_in(0)),
    "neither norm nor running metrics": Way(kind=Bare),
    "scale: layout with the type": Way(running=_scaling(_layout_first)),
    "scale: one product, other bits": Way(running=_scaling(_one_product)),
    "Adam: foreach": Way(optimizer=_adam(foreach=True)),
    "Adam: a loop": Way(optimizer=_adam(foreach=False, fused=False)),
    "layout contiguous": Way(layout=torch.contiguous_format),
    "without oneDNN": Way(running=lambda: torch.backends.mkldnn.flags(enabled=False)),
    "flush denormals": Way(running=_flushing),
    "half of the units dead": Way(change=_half_dead),
    "half of the units dead, flush denormals": Way(change=_half_dead, running=_flushing),
    "activation before the max pool": Way(making=_activation_first, families=("LeNet-5", "vgg_small")),
    "max pool of slices": Way(change=_with_sliced_pools, families=("LeNet-5", "vgg_small")),
}


def compiled(net: Net) -> Running:
    """The step with the network compiled by torch.compile; its first steps compile."""
    made = Way().make(net)
    model = torch.compile(made.model)
    return replace(made, step=_with_model(made.step, model))  # type: ignore[arg-type]


def _with_model(step: Step, model: nn.Module) -> Step:
    step._model = model
    return step
