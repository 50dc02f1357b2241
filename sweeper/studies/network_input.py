"""What a study's networks take and give: the shape and number of images, and the number of classes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import optuna

from sweeper.data.known.catalog import INPUT_SHAPES
from sweeper.errors import SweeperError, plain
from sweeper.models.families import trace
from sweeper.models.layers import n_parameters
from sweeper.store.stored_values import checked
from sweeper.studies.attributes import attributes_of, spec_of
from sweeper.studies.storage_errors import reading
from sweeper.studies.trial_records import TrialRecord

# The study's attribute.
NETWORK_INPUT = "network_input"


@dataclass(frozen=True)
class NetworkInput:
    """The shape (channels, height, width) of a study's images, the number of its classes, and how many images score.

    `n_images` are the validation images of a trial, those of all its folds together; None if it is not known.
    """

    input_shape: tuple[int, int, int]
    n_classes: int
    n_images: int | None = None


def record(study: optuna.Study, found: NetworkInput) -> None:
    """Stores it in the study."""
    study.set_user_attr(NETWORK_INPUT, asdict(found))


def of(study: optuna.Study, trials: Sequence[TrialRecord]) -> NetworkInput:
    """What the search stored or, for a study of an older version on a known data set, what fits its trials.

    Raises SweeperError if an older version did not store it.
    """
    stored = attributes_of(study).get(NETWORK_INPUT)
    if stored is not None:
        with reading(f"study {plain(study.study_name)}"):
            network_input: NetworkInput = checked(NetworkInput, stored, NETWORK_INPUT)
        return network_input
    known = INPUT_SHAPES.get(spec_of(study).dataset)
    if known is not None and _fits(NetworkInput(*known), trials):
        return NetworkInput(*known)
    raise SweeperError(
        f"study {plain(study.study_name)} was searched by an older sweeper, which did not note the size of its images: "
        "the search command, given again, notes it without training anything more"
    )


def _fits(found: NetworkInput, trials: Sequence[TrialRecord]) -> bool:
    """Whether the trials' networks have as many parameters as they were recorded with."""
    known = [trial for trial in trials if trial.configuration is not None and trial.n_parameters is not None]
    return bool(known) and all(
        n_parameters(trace(trial.configuration.model, found.input_shape, found.n_classes)) == trial.n_parameters
        for trial in known
        if trial.configuration is not None
    )
