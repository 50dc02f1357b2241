"""Networks of the user's own: built from their code, and traced as networks of every family."""

import io
import logging
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sweeper.config import CustomConfig
from sweeper.errors import first_line, shortened
from sweeper.models import foreign_calls, signatures, traced
from sweeper.models.layers import Layer
from sweeper.models.own_networks import OwnNetwork, find_again

Shape = tuple[int, int, int]

# Far more than exporting a network of a hundred layers takes on a busy machine.
EXPORT_SECONDS = 600.0


def build(config: CustomConfig, input_shape: Shape, n_classes: int) -> nn.Module:
    """The network: normalised images (batch, channels, height, width) in, logits (batch, classes) out.

    Raises ValueError when it cannot be made for such images, and UsageError if its code is not here.
    """
    network = _made(find_again(config), dict(config.arguments), input_shape, n_classes)
    return nn.Sequential(network, nn.Softmax(dim=1)) if config.softmax_output else network


def trace(config: CustomConfig, input_shape: Shape, n_classes: int) -> list[Layer]:
    """The layers that hold parameters, in the order in which an image passes them; the rest comes last as "others".

    Raises ValueError when the network cannot take such images, or does not give one tensor of logits for them, and
    UsageError if its code is not here.
    """
    found = _traced(find_again(config), config.arguments, input_shape, n_classes)
    if isinstance(found, str):
        raise ValueError(found)
    return list(found)


def check_export(config: CustomConfig, input_shape: Shape, n_classes: int) -> None:
    """Raises ValueError for a network of which torch.export makes no program that takes any number of images."""
    with torch.random.fork_rng(devices=[]):
        network = build(config, input_shape, n_classes).eval()
    images, shapes = torch.zeros(2, *input_shape), ({0: torch.export.Dim("images")},)
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # torch prints all operations before one that it cannot export
    try:
        with redirect_stderr(io.StringIO()):
            foreign_calls.call(torch.export.export, network, (images,), dynamic_shapes=shapes, seconds=EXPORT_SECONDS)
    except foreign_calls.ForeignError as error:
        reason = shortened(first_line(error.__cause__ or error))
        raise ValueError(
            f"{config.network} cannot be exported by torch.export, as registered models are: {reason}"
        ) from error
    finally:
        logging.disable(before)


@cache
def _traced(
    network: OwnNetwork, arguments: tuple[tuple[str, Any], ...], input_shape: Shape, n_classes: int
) -> tuple[Layer, ...] | str:
    """The layers, or why there are none."""
    try:
        return tuple(foreign_calls.call(_trace, network, dict(arguments), input_shape, n_classes))
    except foreign_calls.ForeignError as error:
        reason = str(error)
        if not reason.startswith(network.name):
            reason = f"{network.name} {traced.misfit(input_shape, reason)}"
        return shortened(reason)


def _trace(network: OwnNetwork, arguments: Mapping[str, Any], input_shape: Shape, n_classes: int) -> list[Layer]:
    reason = ""
    # On the device "meta" no memory is taken; but code that looks at a tensor's values needs one that has some.
    for device in ("meta", "cpu"):
        with torch.random.fork_rng(devices=[]), torch.device(device), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers that become too small, and of what "meta" cannot do
            try:
                module = _made(network, arguments, input_shape, n_classes)
                _check(network, module, input_shape, n_classes)
                if _keeps_more_than_its_state(module):
                    _check_state(network, arguments, input_shape, n_classes)
                return traced.trace(module, input_shape, device)
            except ValueError as error:
                reason = str(error)
    raise ValueError(reason if reason.startswith(network.name) else f"{network.name} {reason}")


def _made(network: OwnNetwork, arguments: Mapping[str, Any], input_shape: Shape, n_classes: int) -> nn.Module:
    keywords = signatures.keywords(network, arguments)
    with _seeded(), redirect_stdout(sys.stderr):
        try:
            module = network.call(input_shape=input_shape, n_classes=n_classes, **keywords)
        except Exception as error:
            raise ValueError(_misfit(network, input_shape, error)) from error
        if not isinstance(module, nn.Module):
            raise ValueError(f"{network.name} must return a torch.nn.Module, got {type(module).__name__}")
        if any(map(is_lazy, [*module.parameters(), *module.buffers()])):
            with torch.no_grad():
                _output(network, module.eval(), input_shape)
    return module.train()


def _check(network: OwnNetwork, module: nn.Module, input_shape: Shape, n_classes: int) -> None:
    """Raises ValueError for a module that cannot be trained to classify such images."""
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError(f"{network.name} has no parameters to train")
    if other := [name for name, value in module.state_dict().items() if not isinstance(value, Tensor)]:
        raise ValueError(f"{network.name} must keep its state in tensors, which {other[0]} is not")
    for mode in (True, False):  # some networks of torchvision give several outputs in training alone
        module.train(mode)
        with torch.no_grad():
            output = _output(network, module, input_shape)
        wanted = f"{network.name} must give a tensor of logits (images, classes)"
        if not isinstance(output, Tensor):
            raise ValueError(f"{wanted}, got {type(output).__name__}")
        if tuple(output.shape) != (2, n_classes):
            raise ValueError(f"{wanted}, here of 2x{n_classes}, got {traced.sizes(output.shape) or 'a single value'}")
        if not output.is_floating_point():
            raise ValueError(f"{wanted}, got one of {str(output.dtype).removeprefix('torch.')}")
        if output.device.type == "cpu" and not bool(output.isfinite().all()):
            raise ValueError(f"{network.name} gives NaN or infinite logits before any training")


def _keeps_more_than_its_state(module: nn.Module) -> bool:
    """Whether tensors or arrays of the module are not saved with its weights."""
    saved = {id(tensor) for tensor in module.state_dict(keep_vars=True).values()}
    for value in (value for part in module.modules() for value in vars(part).values()):
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        if any(isinstance(each, Tensor | np.ndarray) and id(each) not in saved for each in inside):
            return True
    return False


def _check_state(network: OwnNetwork, arguments: Mapping[str, Any], input_shape: Shape, n_classes: int) -> None:
    """Raises ValueError if the state does not decide the logits: loaded again, it would be another network."""

    def seeded(seed: int, call: Callable[[], Any]) -> Any:
        torch.default_generator.manual_seed(seed)
        with _seeded():
            return call()

    with torch.device("cpu"), torch.no_grad():
        first, second = (
            seeded(seed, lambda: _made(network, arguments, input_shape, n_classes).eval()) for seed in (0, 1)
        )
        second.load_state_dict(first.state_dict())
        images = torch.rand(2, *input_shape)
        alike = torch.allclose(seeded(2, lambda: first(images)), seeded(2, lambda: second(images)), equal_nan=True)
    if not alike:
        raise ValueError(
            f"{network.name} must keep in parameters and buffers what decides its logits, but another one with the "
            "same state gives others: have register_buffer keep what is drawn at random"
        )


def _output(network: OwnNetwork, module: nn.Module, input_shape: Shape) -> Any:
    """What the module gives for two images without content."""
    device = next((tensor.device for tensor in module.parameters()), None)
    try:
        return module(torch.zeros(2, *input_shape, device=device))
    except Exception as error:
        raise ValueError(_misfit(network, input_shape, error)) from error


def _misfit(network: OwnNetwork, input_shape: Shape, error: Exception) -> str:
    return f"{network.name} {traced.misfit(input_shape, foreign_calls.in_words(error))}"


@contextmanager
def _seeded() -> Iterator[None]:
    """Python's and NumPy's random numbers follow torch's seed for a while: some networks draw weights from them."""
    before = random.getstate(), np.random.get_state()
    seed = torch.default_generator.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
