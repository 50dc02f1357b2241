"""What precision = "auto" stands for: bfloat16 for large networks on processors where that is faster, else float32."""

import re
from dataclasses import dataclass, replace

from sweeper.config import Configuration, ConvNetConfig, MlpConfig, ModelConfig, ResNetConfig
from sweeper.config.training import AUTO
from sweeper.models import layers

# The families that the rules hold for. Four networks of timm were 0.5 to 1.2 times as fast in bfloat16, whatever their
# size, and of a user's own network nothing is known.
MEASURED = (ConvNetConfig, MlpConfig, ResNetConfig)
_STORED = re.compile(r"bfloat16 from ([\d,]+) multiply-adds an image \((\w+)\)")


@dataclass(frozen=True)
class PrecisionRule:
    """bfloat16 for networks of MEASURED of at least `bfloat16_from` multiply-adds an image, float32 for others.

    `instructions` are those of the processor that make it pay. Without them it is float32 for all networks.
    """

    instructions: str = ""
    bfloat16_from: int | None = None

    def __str__(self) -> str:
        if self.bfloat16_from is None:
            return "float32"
        return f"bfloat16 from {self.bfloat16_from:,} multiply-adds an image ({self.instructions})"

    @staticmethod
    def parse(text: str) -> "PrecisionRule":
        """Reads the form that str() gives. Raises ValueError."""
        if text == "float32":
            return FLOAT32
        if found := _STORED.fullmatch(text):
            return PrecisionRule(found[2], int(found[1].replace(",", "")))
        raise ValueError(f"a rule of precision must be float32 or {_STORED.pattern}, got {text!r}")


FLOAT32 = PrecisionRule()
# By instruction set of the processor, the best first; see benchmarks/precision.md. With avx512_bf16, on a Zen 5, all
# networks measured from this size on were 1.0 to 1.8 times as fast, and one of half the size was slower on real images.
# With amx_bf16, another machine measured 2.3 times at 39 million multiply-adds, and 0.8 at 1.4 million: the bound is
# between them, and not measured itself.
RULES = (PrecisionRule("amx_bf16", 10_000_000), PrecisionRule("avx512_bf16", 2_500_000))


def rule_of(kind: str) -> PrecisionRule:
    """The rule for a kind of processor, as process.processor names it; always float32 for GPUs."""
    return next((rule for rule in RULES if rule.instructions in kind.split()), FLOAT32)


@dataclass(frozen=True)
class Resolution:
    """Puts what the rule says in the place of "auto", for images of this shape (channels, height, width)."""

    rule: PrecisionRule
    input_shape: tuple[int, int, int]
    n_classes: int

    def __call__(self, configuration: Configuration) -> Configuration:
        """The configuration with its precision resolved; unchanged if it names one."""
        if configuration.train.precision != AUTO:
            return configuration
        if not isinstance(configuration.model, MEASURED):
            return _with(configuration, "float32")
        large = self.rule.bfloat16_from is not None and self._size(configuration.model) >= self.rule.bfloat16_from
        return _with(configuration, "bfloat16" if large else "float32")

    def _size(self, model: ModelConfig) -> int:
        try:
            return layers.n_multiply_adds(layers.trace(model, self.input_shape, self.n_classes))
        except ValueError:  # it cannot take the images, and nothing trains it
            return 0


def _with(configuration: Configuration, precision: str) -> Configuration:
    return replace(configuration, train=replace(configuration.train, precision=precision))
