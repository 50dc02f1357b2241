"""The parts of section 1 on the champion itself: how to use it, and its whole configuration."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.models import code_files
from sweeper.promotion.effects import is_effective
from sweeper.promotion.outcome import Entrant, PromotionOutcome
from sweeper.report.blocks import Block, Commands, Facts, Heading, Listing
from sweeper.report.subject import Subject
from sweeper.report.wording import setting
from sweeper.store.arguments import store_arguments
from sweeper.store.layout import Store
from sweeper.studies.network_input import NetworkInput

# Of more classes, the rest is counted.
MOST_CLASSES = 50
COLOURS: Mapping[int, str] = {1: "grey", 3: "colour"}


def how_to_use(
    subject: Subject, outcome: PromotionOutcome, networks: NetworkInput | None, classes: Sequence[str]
) -> list[Block]:
    """What the champion takes and gives, and the commands that use it; `classes` is empty if they are not known."""
    model, place = shlex.quote(outcome.model), subject.options
    return [
        Heading(
            "How to use it", "The model has its preprocessing in it: give it images as they are, and scale nothing."
        ),
        Facts([*_taken(networks), *_given(classes)]),
        Commands(
            [
                ("What it says of images: files, or folders of them", f"sweeper predict {model} path/to/images{place}"),
                ("As a file for other programs (ONNX; --format has others)", f"sweeper export {model}{place}"),
                ("Its score on labelled images of your own", f"sweeper evaluate {model} path/to/folder{place}"),
                ("In Python", _in_python(outcome.model, subject.store)),
            ]
        ),
    ]


def _in_python(model: str, store: Store) -> str:
    """The lines that load the model and use it."""
    words = shlex.split(store_arguments(store))
    keywords: dict[str, Any] = {
        option.removeprefix("--").replace("-", "_"): value
        for option, value in zip(words[::2], words[1::2], strict=True)
    }
    if files := code_files.arguments()[1::2]:
        keywords["code"] = files
    arguments = ", ".join([repr(model), *(f"{name}={value!r}" for name, value in keywords.items())])
    return f"import sweeper\nmodel = sweeper.load_model({arguments})\nmodel.predict('path/to/images')"


def _taken(networks: NetworkInput | None) -> list[tuple[str, str]]:
    if networks is None:
        return []
    channels, height, width = networks.input_shape
    kind = COLOURS.get(channels, f"{channels}-channel")
    return [("It takes", f"raw pixels, 0 to 255, of {kind} images, {height} high and {width} wide; others are fitted")]


def _given(classes: Sequence[str]) -> list[tuple[str, str]]:
    if not classes:
        return []
    shown = ", ".join(classes[:MOST_CLASSES])
    more = f", and {len(classes) - MOST_CLASSES} more" * (len(classes) > MOST_CLASSES)
    return [(f"It gives a logit for each of {len(classes)} classes, in this order", shown + more)]


def configuration(subject: Subject, champion: Entrant) -> list[Block]:
    """All fields of the champion's network and training that change anything, a line each."""
    trial = subject.trial(champion.trial)
    if trial is None or trial.configuration is None:
        return []
    values = trial.configuration.values()
    lines = [f"{name} = {setting(value)}" for name, value in values.items() if is_effective(name, values)]
    text = "\n".join([*lines, f"epochs = {champion.epochs}"])
    return [Listing(f"The whole configuration of the champion, trial {champion.trial}", text)]
