"""The outcome of an export, as plain data and in sentences."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sweeper.evaluation.amounts import signed_with_interval, with_interval
from sweeper.model_files.checks import Check
from sweeper.quantities import counted

NAMES = {"onnx": "ONNX", "pt2": "an exported program of torch", "safetensors": "safetensors"}


@dataclass(frozen=True)
class Measures:
    """Accuracy with its interval (shares of 1), size in bytes, and milliseconds for one image with onnxruntime."""

    accuracy: float
    low: float
    high: float
    n_bytes: int
    milliseconds: float


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """What 8 bits change, `before` and `after`, on `n_images` of the `part` of the study's images.

    The accuracies are those of `network`: the exported one, or another of its configuration if that has not learned
    from these images and the exported one has. `has_learned` says that this one has, too. `n_same` counts the images
    that the exported network decides as before; sizes and times are those of the exported network.
    """

    n_calibrated: int
    network: str
    is_exported: bool
    has_learned: bool
    part: str
    n_images: int
    n_same: int
    before: Measures
    after: Measures
    difference: float
    difference_low: float
    difference_high: float

    def summary(self) -> dict[str, Any]:
        """What stands in the file itself: no times, which are this machine's, and no sizes."""
        accuracies = {
            f"{when}_quantization": {name: getattr(of, name) for name in ("accuracy", "low", "high")}
            for when, of in (("before", self.before), ("after", self.after))
        }
        names = ("n_calibrated", "network", "has_learned", "part", "n_images")
        return {name: getattr(self, name) for name in names} | accuracies

    @property
    def sentences(self) -> list[str]:
        """The result in sentences."""
        ones = [
            f"{with_interval('accuracy', of.accuracy, of.low, of.high)} {when}"
            for of, when in ((self.before, "before"), (self.after, "after"))
        ]
        change = signed_with_interval("accuracy", self.difference, self.difference_low, self.difference_high, 2)
        images = counted(self.n_images, f"{self.part} image")
        said = [
            f"Quantised to 8 bits, with the ranges of {self.n_calibrated:,} train images.",
            f"Accuracy on {images}: {', '.join(ones)}; {change} points.",
        ]
        if self.has_learned:
            said.append(
                "The network has learned from these images: both accuracies are too high, and new images may lose more."
            )
        elif not self.is_exported:
            said.append(
                f"These are of {self.network}, which is of the same configuration, quantised in the same way, and has "
                "not learned from these images; the exported network has."
            )
        if self.has_learned or not self.is_exported:
            said.append(f"The exported network decides as before on {self.n_same:,} of {images}.")
        before, after = self.before, self.after
        said.append(
            f"Size {size(before.n_bytes)} before, {size(after.n_bytes)} after; latency {before.milliseconds:.3g} ms "
            f"before, {after.milliseconds:.3g} ms after (onnxruntime, one image at a time on one thread of this "
            "machine's CPU)."
        )
        return said


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A file that was written, and what it was checked on.

    `input_shape` is that of one image; `described` has the images of the check in words. `n_bytes` and `sha256` are
    those of the file.
    """

    model: str
    run_id: str | None
    format: str
    file: str
    n_bytes: int
    sha256: str
    classes: Sequence[str]
    input_shape: tuple[int, int, int]
    check: Check
    described: str
    int8: Quantization | None

    def as_json(self) -> dict[str, Any]:
        """The object that `sweeper export --json` prints."""
        return {"schema_version": 1, **asdict(self)}

    @property
    def sentences(self) -> list[str]:
        """The result in sentences."""
        shape = ", ".join(map(str, self.input_shape))
        batches = f"{', '.join(map(str, self.check.batches[:-1]))} and {self.check.batches[-1]}"
        before = " before it was quantised" if self.int8 else ""
        return [
            f"{self.model} as {NAMES[self.format]}, {size(self.n_bytes)}: raw pixels uint8 (batch, {shape}) in, logits "
            f"float32 (batch, {len(self.classes)}) out.",
            f"Checked{before} on {self.described}, in batches of {batches}: all decisions are the network's, the "
            f"largest difference of a logit is {self.check.max_difference:.2g}.",
            *(self.int8.sentences if self.int8 else ()),
        ]


def size(n_bytes: int) -> str:
    """Bytes in words."""
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:,.0f} kB"
