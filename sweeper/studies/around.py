"""The space around the best trials of a study, as a space file."""

import math
from dataclasses import dataclass

import optuna

from sweeper.errors import SweeperError, UsageError, plain
from sweeper.models.precision import PrecisionRule, Resolution
from sweeper.spaces import around, reader
from sweeper.spaces.space import Space
from sweeper.studies import network_input, trial_records
from sweeper.studies.attributes import spec_of

# The good trials: this share of the complete ones, and the fewest. Fewer would keep choices by luck.
GOOD_SHARE, FEWEST_GOOD = 0.2, 5


@dataclass(frozen=True)
class Around:
    """The text of a space file, the space that it holds, and the good trials that it is around, the best first."""

    text: str
    space: Space
    trials: list[int]


def around_best(study: optuna.Study, name: str, shrink: float) -> Around:
    """The study's space, called `name`, with its ranges shrunk to this share, and the study's protocol.

    Raises UsageError if the study searches nothing or `shrink` is no share above 0, and SweeperError if no trial of the
    space has finished.
    """
    if not 0 < shrink <= 1:
        raise UsageError(f"ranges must shrink to a share above 0 and at most 1, got {shrink!r} (--shrink)")
    spec, called = spec_of(study), plain(study.study_name)
    if not spec.space.get("parameters"):
        raise UsageError(f"study {called} searches no parameter: there is nothing to narrow")
    if "baseline" not in spec.space.get("variants", {}):
        raise SweeperError(f"the space of study {called} cannot be written: an older sweeper recorded no baseline")
    recorded = trial_records.records(study)
    trials = trial_records.ranking(recorded, spec.metric)
    # Variants outside the space have no parameters of their trials.
    inside = [trial for trial in trials if trial.feasible and trial.params]
    if not inside:
        raise SweeperError(
            f"no trial of study {called} has finished inside its space: there is no best to search around"
        )
    good = inside[: max(FEWEST_GOOD, math.ceil(GOOD_SHARE * len(inside)))]
    resolution = None
    if spec.precision_rule:
        images = network_input.of(study, recorded)
        resolution = Resolution(PrecisionRule.parse(spec.precision_rule), images.input_shape, images.n_classes)
    described = around.narrowed(spec.space, [trial.params for trial in good], shrink, resolution)
    numbers = [trial.number for trial in good]
    comment = (
        f"The space {plain(spec.space_name)} around trial {numbers[0]}, the best of study {called}, with ranges of "
        f"{shrink:g} of their width.\nChoices are those of its good trials: {', '.join(map(str, numbers))}."
    )
    text = around.space_text(described, spec.protocol, f"{plain(spec.space_name)}, around the best", comment)
    return Around(text, reader.parse(text, name=name, file=f"{name}.toml"), numbers)
