"""How a trial is scored."""

from dataclasses import dataclass

from sweeper import validators
from sweeper.config.fields import Checked, ruled

PIXELS = ("unit", "standard")


@dataclass(frozen=True)
class Protocol(Checked):
    """How a trial is scored: epochs, the parts held out of the training set, the scaling of pixels, and the test flip.

    With `folds`, a trial has one training per fold and `validation` is ignored; with `repeats`, one training per seed.
    The trial's score is the mean over its trainings. With `test_flip`, a network's output for an image is the mean of
    its outputs for the image and its mirror image, wherever the network is used.
    """

    epochs: int = ruled(15, validators.integer(1))
    validation: int | float = ruled(0.1, validators.part(empty=False))
    confirm: int | float = ruled(0.1, validators.part(empty=True))
    folds: int = ruled(0, validators.folds)  # 0: none
    repeats: int = ruled(1, validators.integer(1))
    pixels: str = ruled("standard", validators.one_of(*PIXELS))
    test_flip: bool = ruled(False, validators.boolean)

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = [part for part in (self.validation, self.confirm) if isinstance(part, float)]
        if sum(shares) >= 1:
            raise ValueError(
                "validation and confirm as shares must sum to less than 1, got "
                f"{self.validation!r} and {self.confirm!r}"
            )

    @property
    def n_trainings(self) -> int:
        """How many trainings each configuration has: one for each fold and repeat."""
        return max(self.folds, 1) * self.repeats
