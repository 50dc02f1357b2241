"""A view of the trainings of networks: their learning curves, with the best epoch of each named."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from sweeper.analysis.network import TrainedNetwork
from sweeper.analysis.view import View
from sweeper.errors import UsageError
from sweeper.evaluation.amounts import amount
from sweeper.plots import Plot
from sweeper.store.layout import Store
from sweeper.tracking.learning_curves import curves_of


def learning_curves(
    store: Store, networks: Mapping[str, TrainedNetwork], notify: Callable[[str], None] = lambda note: None
) -> View | None:
    """The learning curves of the networks' own trainings; None if MLflow has the epochs of none.

    `notify` gets a line for a network without epochs. Raises SweeperError if MLflow cannot be used.
    """
    found: list[dict[str, Any]] = []
    sentences = []
    for name, network in networks.items():
        if network.run_id is None:
            continue
        try:
            epochs = curves_of(store, network.run_id, network.data_sha256, "MODEL").trainings[0]
        except UsageError as error:
            notify(f"No learning curves of {name}: {error}")
            continue
        found.append({"name": name, "epochs": epochs})
        scored = [epoch for epoch in epochs if math.isfinite(epoch["validation_accuracy"])]
        if scored:
            best = max(scored, key=lambda epoch: epoch["validation_accuracy"])
            sentences.append(
                f"{name}: best validation accuracy {amount('accuracy', best['validation_accuracy'])} in epoch "
                f"{best['epoch']:g} of {len(epochs)}."
            )
        else:
            sentences.append(f"{name} was trained without a validation part, so no epoch is its best.")
    if not found:
        return None
    return View(
        name="curves",
        title="Learning curves",
        how_to_read="Loss and accuracy by epoch on the images that a network learned from (training) and on others "
        "(validation): a widening gap is overfitting. The ring is the best validation epoch; the network is that "
        "of the last epoch.",
        images_used="the train part of each network, and its validation part",
        plot=Plot("learning_curves_of_networks", {"networks": found, "title": "Learning curves"}),
        sentences=sentences,
        data={"networks": [{**one, "epochs": [_known(epoch) for epoch in one["epochs"]]} for one in found]},
    )


def _known(epoch: Mapping[str, float]) -> dict[str, float | None]:
    """The epoch with None for values that are not finite, which JSON does not have."""
    return {name: value if math.isfinite(value) else None for name, value in epoch.items()}
