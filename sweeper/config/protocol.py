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

    epochs: int = ruled(15, validators.integer(1), "length of each training", "epochs")
    validation: int | float = ruled(
        0.1,
        validators.part(empty=False),
        "part of the training set that scores the trials; ignored with folds",
        "share or images",
    )
    confirm: int | float = ruled(
        0.1,
        validators.part(empty=True),
        "part of the training set that no choice uses, for the estimate after the choice",
        "share or images",
    )
    folds: int = ruled(
        0, validators.folds, "stratified folds, with one training each, whose mean is the score; 0: none"
    )
    repeats: int = ruled(
        1, validators.integer(1), "trainings of each configuration, with a seed each, whose mean is the score"
    )
    pixels: str = ruled(
        "standard",
        validators.one_of(*PIXELS),
        "unit scales pixels to [0, 1]; standard then to mean 0 and standard deviation 1 of each channel",
    )
    test_flip: bool = ruled(
        False,
        validators.boolean,
        "whether an output is the mean of those for the image and its mirror image, wherever the network is used",
    )

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
