"""A network's layers by arithmetic alone, without building it: shapes, parameters and multiply-adds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from sweeper.config import ConvNetConfig, MlpConfig, ModelConfig, ResNetConfig
from sweeper.config.models import MOST_BLOCKS
from sweeper.quantities import counted

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    `output_shape` is for one image (no batch dimension); `n_multiply_adds` is for one image's forward pass.
    """

    name: str
    kind: str
    output_shape: Shape
    n_parameters: int = 0
    n_multiply_adds: int = 0


def spread(value: Any, n_layers: int, name: str, layers: str = "conv layers") -> list[Any]:
    """A per-layer field as a list of `n_layers` values. Raises ValueError for an array of another length."""
    if not isinstance(value, tuple):
        return [value] * n_layers
    if len(value) != n_layers:
        raise ValueError(f"{name} has {counted(len(value), 'value')} for {n_layers} {layers}, got {list(value)}")
    return list(value)


def trace(config: ModelConfig, input_shape: Shape, n_classes: int) -> list[Layer]:
    """The layers of a convnet, mlp or resnet for images of `input_shape` (channels, height, width), in order.

    Raises ValueError, naming the layer and the sizes, when the network cannot take such images, and TypeError for a
    family whose layers are known only after building.
    """
    match config:
        case ConvNetConfig():
            return _convnet(config, input_shape, n_classes)
        case MlpConfig():
            return _mlp(config, input_shape, n_classes)
        case ResNetConfig():
            return _resnet(config, input_shape, n_classes)
    raise TypeError(f"the layers of a network of family {config.family} are known only after building it")


def _convnet(config: ConvNetConfig, input_shape: Shape, n_classes: int) -> list[Layer]:
    n_convs = len(config.filters)
    kernels = spread(config.kernel_size, n_convs, "kernel_size")
    paddings = spread(config.padding, n_convs, "padding")
    spread(config.dropout_conv, n_convs, "dropout_conv")
    spread(config.dropout_pool, len(config.pool_after), "dropout_pool", "pools")
    spread(config.dropout, len(config.hidden), "dropout", "hidden layers")
    if config.pool_after and config.pool_after[-1] > n_convs:
        raise ValueError(f"pool_after must name convs from 1 to {n_convs}, got {config.pool_after[-1]}")

    pools = set(config.pool_after)
    channels, height, width = input_shape
    height, width = (side + 2 * config.input_padding for side in (height, width))
    layers = []
    for number, (n_filters, kernel, padding) in enumerate(zip(config.filters, kernels, paddings, strict=True), start=1):
        weights = channels * kernel * kernel
        grow = kernel - 1 if padding == "same" else 2 * padding
        if kernel > min(height, width) + grow:
            raise ValueError(
                f"conv{number}: kernel_size {kernel} is larger than its {height}x{width} map (padding {padding})"
            )
        channels, height, width = n_filters, height + grow - kernel + 1, width + grow - kernel + 1
        shape = (channels, height, width)
        layers.append(Layer(f"conv{number}", "conv", shape, n_filters * (weights + 1), prod(shape) * weights))
        if config.batch_norm:
            layers.append(Layer(f"norm{number}", "batch_norm", shape, 2 * n_filters))
        if number in pools:
            layers.append(_pool(f"pool{number}", config.pooling, shape))
            height, width = layers[-1].output_shape[1:]

    width_in = channels * height * width
    layers.append(Layer("flatten", "flatten", (width_in,)))
    maps = {layer.name: prod(layer.output_shape) for layer in layers}
    for number, units in enumerate(config.hidden, start=1):
        layers.append(_linear(f"hidden{number}", width_in, units))
        width_in = units
    layers.append(_linear("output", width_in, n_classes))
    for name in config.aux_heads:
        if name not in maps:
            raise ValueError(f"aux_heads names {name}, which this network lacks")
        layers.append(_linear(f"aux_{name}", maps[name], n_classes))
    return layers


def _mlp(config: MlpConfig, input_shape: Shape, n_classes: int) -> list[Layer]:
    spread(config.dropout, len(config.hidden), "dropout", "hidden layers")
    width = prod(input_shape)
    layers = [Layer("flatten", "flatten", (width,))]
    for number, units in enumerate(config.hidden, start=1):
        layers.append(_linear(f"hidden{number}", width, units))
        if config.batch_norm:
            layers.append(Layer(f"norm{number}", "batch_norm", (units,), 2 * units))
        width = units
    return [*layers, _linear("output", width, n_classes)]


def _resnet(config: ResNetConfig, input_shape: Shape, n_classes: int) -> list[Layer]:
    widths = config.filters[1:]
    n_blocks = spread(config.blocks, len(widths), "blocks", "stages")
    if sum(n_blocks) > MOST_BLOCKS:
        raise ValueError(f"blocks must sum to at most {MOST_BLOCKS} over the stages, got {sum(n_blocks)}")
    if config.downsample_at and config.downsample_at[-1] > len(widths):
        raise ValueError(f"downsample_at must name stages from 1 to {len(widths)}, got {config.downsample_at[-1]}")

    channels, height, width = input_shape
    shape: Shape = (config.filters[0], height, width)
    layers = _normed("conv1", "norm1", channels, shape, 3)
    block = 0
    for stage, (n_filters, count) in enumerate(zip(widths, n_blocks, strict=True), start=1):
        halves = stage in config.downsample_at
        if halves and config.downsampling != "stride":
            layers.append(_pool(f"pool{stage}", config.downsampling, shape))
            shape, halves = layers[-1].output_shape, False
        for _ in range(count):
            channels, height, width = shape
            if halves:
                height, width = math.ceil(height / 2), math.ceil(width / 2)
            shape = (n_filters, height, width)
            block += 1
            number = 2 * block
            layers += _normed(f"conv{number}", f"norm{number}", channels, shape, 3)
            layers += _normed(f"conv{number + 1}", f"norm{number + 1}", n_filters, shape, 3)
            if halves:
                layers.append(Layer(f"shortcut_pool{block}", "avg_pool", (channels, height, width)))
            if halves or channels != n_filters:
                layers += _normed(f"shortcut{block}", f"shortcut_norm{block}", channels, shape, 1)
            halves = False
    layers.append(Layer("global_pool", "avg_pool", (shape[0], 1, 1)))
    layers.append(Layer("flatten", "flatten", (shape[0],)))
    return [*layers, _linear("output", shape[0], n_classes)]


def n_parameters(layers: Sequence[Layer]) -> int:
    """Trainable parameters of a network."""
    return sum(layer.n_parameters for layer in layers)


def n_multiply_adds(layers: Sequence[Layer]) -> int:
    """Multiply-adds of one image's forward pass (convs and linear layers; the rest is negligible)."""
    return sum(layer.n_multiply_adds for layer in layers)


def _normed(conv: str, norm: str, n_in: int, shape: Shape, kernel: int) -> list[Layer]:
    """A conv without bias, with `n_in` channels in and maps of `shape` out, and its batch norm."""
    weights = n_in * kernel * kernel
    n_filters = shape[0]
    return [
        Layer(conv, "conv", shape, n_filters * weights, prod(shape) * weights),
        Layer(norm, "batch_norm", shape, 2 * n_filters),
    ]


def _pool(name: str, pooling: str, shape: Shape) -> Layer:
    """A pool by 2 of maps of `shape`. Raises ValueError where they are too small."""
    channels, height, width = shape
    if min(height, width) < 2:
        raise ValueError(f"{name}: a {height}x{width} map is too small to pool by 2")
    return Layer(name, f"{pooling}_pool", (channels, height // 2, width // 2))


def _linear(name: str, n_in: int, n_out: int) -> Layer:
    return Layer(name, "linear", (n_out,), (n_in + 1) * n_out, n_in * n_out)
