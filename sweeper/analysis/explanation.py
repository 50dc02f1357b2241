"""What one network, or two side by side, see and confuse: the views of `sweeper explain`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.analysis import inside, predicted
from sweeper.analysis.classes import classwise
from sweeper.analysis.curves import learning_curves
from sweeper.analysis.images import LabelledImages, from_paths, part_of
from sweeper.analysis.network import TrainedNetwork, find
from sweeper.analysis.seen import trained_on
from sweeper.analysis.subject import Subject
from sweeper.analysis.test_copies import n_test_images
from sweeper.analysis.view import View
from sweeper.data.source import USUAL_ACCESS, DataAccess
from sweeper.errors import SweeperError, UsageError, joined
from sweeper.quantities import counted
from sweeper.store.layout import Store

# In the order in which they are shown.
ANALYSES = (
    "curves", "confusions", "classes", "mistakes", "probabilities", "reliability", "features", "embedding",
)  # fmt: skip
# These compare predictions with true classes.
NEED_LABELS = ("confusions", "classes", "mistakes", "reliability")
MISTAKES, PROBABILITIES = 9, 4
# A figure shows no more images than these.
MOST_TILES = 60
Notify = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class ExplainRequest:
    """What is to be explained.

    `model` and `against` name networks. `analyses` are some of ANALYSES; none means all that are possible. `part` is
    that of the study, `paths` are a person's own images instead, which `resize` scales to that side. `n` is the number
    of images that an analysis of images shows, None for each one's own; `seed` draws random ones.
    """

    model: str
    against: str | None = None
    analyses: Sequence[str] = ()
    part: str | None = None
    paths: Sequence[Path] = ()
    resize: int | None = None
    n: int | None = None
    seed: int = 0
    data_access: DataAccess = USUAL_ACCESS


@dataclass(frozen=True, eq=False)
class Explanation:
    """The views of a network, on the images that `images_used` describes."""

    network: TrainedNetwork
    images_used: str
    views: Sequence[View]


def explain(
    store: Store,
    request: ExplainRequest,
    notify: Notify = lambda note: None,
    progress: Notify = lambda step: None,
) -> Explanation:
    """Looks at a network, on images that it was not trained on unless the request names the train part.

    `notify` gets a line for each analysis that is not possible if none was asked for by name, `progress` one for each
    long step.
    Raises UsageError and SweeperError for what cannot be explained.
    """
    if request.paths and request.part:
        raise UsageError("--images and --part both choose the images: give one of them")
    if request.resize is not None and not request.paths:
        raise UsageError("--resize needs --images")
    networks = [find(store, request.model, "MODEL")]
    if request.against is not None:
        networks.append(find(store, request.against, "--against"))
        _check_comparable(*networks)
    images = _images(store, request, networks, notify)
    subjects = [Subject(network.name, network, images) for network in networks]
    views = []
    for analysis in request.analyses or ANALYSES:
        try:
            views += _views(store, request, analysis, subjects, notify, progress)
        except _Impossible as error:
            if request.analyses:
                raise
            notify(f"No {analysis}: {error}")
    return Explanation(networks[0], images.described, views)


class _Impossible(SweeperError):
    """An analysis that these networks or images do not allow."""


def _views(
    store: Store,
    request: ExplainRequest,
    analysis: str,
    subjects: Sequence[Subject],
    notify: Notify,
    progress: Notify,
) -> list[View]:
    images, n, seed = subjects[0].images, request.n, request.seed
    if images.labels is None and analysis in NEED_LABELS:
        remedy = images.why_unlabelled or "put the files into folders named after the classes"
        raise _Impossible(f"this needs the true classes of the images: {remedy}")
    match analysis:
        case "curves":
            networks = {subject.name: subject.network for subject in subjects}
            curves = learning_curves(store, networks, notify)
            return [curves] if curves else _impossible("MLflow has no epochs of the training")
        case "confusions":
            return [predicted.confusions(subjects)]
        case "classes":
            return [classwise(subjects)]
        case "mistakes":
            return [
                predicted.mistakes(subject, min(n or MISTAKES, MOST_TILES), name)
                for name, subject in _named("mistakes", subjects)
            ]
        case "probabilities":
            chosen = _chosen(images, n, seed)
            found = []
            for name, subject in _named("probabilities", subjects):
                curves = learning_curves(store, {subject.name: subject.network})
                view = predicted.probabilities(subject, chosen, name)
                found.append(replace(view, sentences=curves.sentences if curves else ()))
            return found
        case "reliability":
            return [predicted.reliabilities(subjects)]
        case "features":
            position = 0 if images.part == "given" else int(np.random.default_rng(seed).integers(len(images.images)))
            features = inside.features(subjects, position)
            return [features] if features else _impossible("the network has no conv or pool layer")
        case "embedding":
            try:
                return [inside.embeddings(subjects, n or inside.EMBEDDED, seed, progress)]
            except SweeperError as error:
                return _impossible(str(error))
    raise AssertionError(analysis)


def _impossible(reason: str) -> list[View]:
    raise _Impossible(reason)


def _named(analysis: str, subjects: Sequence[Subject]) -> list[tuple[str, Subject]]:
    """The subjects with the names of their files: each has one of its own."""
    return [(analysis if place == 0 else f"{analysis}_against", subject) for place, subject in enumerate(subjects)]


def _chosen(images: LabelledImages, n: int | None, seed: int) -> NDArray[np.int64]:
    """The images whose probabilities are shown: the first given ones, or random ones of a part."""
    n_images = len(images.images)
    if images.part == "given":
        return np.arange(min(n or n_images, n_images, MOST_TILES))
    drawn = np.random.default_rng(seed).choice(n_images, min(n or PROBABILITIES, n_images, MOST_TILES), replace=False)
    return np.sort(drawn)


def _images(
    store: Store, request: ExplainRequest, networks: Sequence[TrainedNetwork], notify: Notify
) -> LabelledImages:
    """The images that all networks are looked at on."""
    if request.paths:
        _, height, width = networks[0].input_shape
        if request.resize is not None and {request.resize} != {height, width}:
            raise UsageError(f"--resize must give the {height}x{width} that {networks[0].name} takes")
        resize = request.resize is not None
        given = from_paths(
            request.paths, networks[0], store=store, resize=resize, data_access=request.data_access, notify=notify
        )
        known = [_learned(store, request, network, given) for network in networks]
        described = f"{given.described}, {' and '.join(text for text, _ in known)}"
        if n_test := max(n for _, n in known):
            # A score of test images is a look at the test part, which the ledger must count.
            why = (
                f"{n_test} of them {'is a test image' if n_test == 1 else 'are test images'} of the network's data, "
                "whose scores are a look at the test part: `sweeper evaluate` gives them, and enters it into the ledger"
            )
            return replace(given, described=described, labels=None, why_unlabelled=why)
        return replace(given, described=described)
    found = part_of(store, networks[0], request.part, data_access=request.data_access, notify=notify)
    for other in networks[1:]:
        # The part of the other's own study and split, which it has not learned from either. Of the same images there
        # is nothing new to tell.
        theirs = part_of(store, other, found.part, data_access=request.data_access)
        if not np.array_equal(found.images, theirs.images):
            raise SweeperError(
                f"{networks[0].name} and {other.name} were trained on different splits, so one may have learned from "
                f"{found.part} images of the other: name two networks of one study, or give --images"
            )
    return found


def _learned(store: Store, request: ExplainRequest, network: TrainedNetwork, given: LabelledImages) -> tuple[str, int]:
    """How many of the given images the network was trained on, in words, and how many are test images of its data."""
    known = trained_on(store, network, request.data_access)
    copies = known.holds(given.images)
    if copies is None or known.training_set is None:
        return f"of which {network.name} may have learned from any", 0
    n_test = n_test_images(store, network, known.training_set, given.images, request.data_access)
    return f"of which {network.name} was trained on {int(copies.sum()) or 'none'} (equal pixels)", n_test


def _check_comparable(first: TrainedNetwork, second: TrainedNetwork) -> None:
    if first.run_id == second.run_id:
        raise UsageError(f"MODEL and --against are the same network, {first.name}")
    if first.classes != second.classes:
        ours, theirs = joined(first.classes), joined(second.classes)
        raise UsageError(f"{first.name} knows the classes {ours}, but {second.name} knows {theirs} (--against)")
    if first.input_shape != second.input_shape:
        raise UsageError(f"{first.name} takes images {_shape(first)}, but {second.name} {_shape(second)} (--against)")


def _shape(network: TrainedNetwork) -> str:
    channels, height, width = network.input_shape
    return f"of {height}x{width} with {counted(channels, 'channel')}"
