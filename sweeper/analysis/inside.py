"""Looks inside networks: the feature maps of an image, and the last hidden layer's map of all images."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sweeper.analysis.predicted import image_name
from sweeper.analysis.subject import Subject
from sweeper.analysis.view import View
from sweeper.errors import SweeperError
from sweeper.evaluation.amounts import amount
from sweeper.explain import embedding
from sweeper.explain.classwise import class_scores, worst
from sweeper.explain.feature_maps import FeatureMaps, feature_maps
from sweeper.explain.hidden_layer import hidden_outputs
from sweeper.explain.pixels import as_pixels, strongest, thumbnail
from sweeper.plots import Plot
from sweeper.quantities import counted

# What a figure can show of a network: layers, channels of a layer, and channels of a layer whose maps are one pixel.
MOST_LAYERS, MOST_CHANNELS, MOST_PIXELS = 16, 16, 128
# Classes that an embedding names and colours.
MOST_NAMED = 15
# Images of an embedding. t-SNE takes up to a minute for so many.
EMBEDDED = 2000


def features(subjects: Sequence[Subject], position: int) -> View | None:
    """The feature maps of one image in each network; None if no network has a conv or pool layer."""
    images = subjects[0].images
    image = images.images[position]
    networks: list[dict[str, Any]] = []
    notes = []
    for subject in subjects:
        found = feature_maps(subject.network.network, image[None])
        if not found:
            notes.append(f"{subject.name} has no conv or pool layer.")
            continue
        shown = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, MOST_LAYERS).round().astype(int))]
        if len(shown) < len(found):
            notes.append(f"{subject.name}: {len(shown)} of {len(found)} layers are shown, evenly spread.")
        layers = [_layer(one) for one in shown]
        if cut := [layer for layer in layers if len(layer["shown"]) < layer["channels"]]:
            numbers = ", ".join(f"{len(layer['shown'])} of {layer['channels']} of {layer['layer']}" for layer in cut)
            notes.append(f"{subject.name}: only the channels with the largest mean magnitude are shown ({numbers}).")
        networks.append({"name": subject.name, "prediction": _prediction(subject, position), "layers": layers})
    if not networks:
        return None
    name = image_name(subjects[0], position)
    arguments = {"image": thumbnail(image).tolist(), "networks": networks, "title": f"Feature maps of {name}"}
    return View(
        name="features",
        title="Feature maps of one image",
        how_to_read="Each square is the output of one filter for the image, as the next layer gets it (in a convnet or "
        "resnet, after batch norm and activation). The maps of a layer share one scale of brightness, whose range "
        "is in its title. Early layers keep edges and areas, late ones what tells classes apart.",
        images_used=f"{name} of {images.described}",
        plot=Plot("feature_maps", arguments),
        sentences=notes,
        data={
            "image": position,
            "networks": [
                network | {"layers": [_without_maps(layer) for layer in network["layers"]]} for network in networks
            ],
        },
    )


def _layer(found: FeatureMaps) -> dict[str, Any]:
    maps = found.maps[0]
    channels, height, width = maps.shape
    shown = strongest(maps, MOST_PIXELS if height * width == 1 else MOST_CHANNELS)
    pixels, low, high = as_pixels(maps[shown])
    return {
        "layer": found.layer,
        "kind": found.kind,
        "channels": channels,
        "height": height,
        "width": width,
        "shown": shown.tolist(),
        "maps": pixels.tolist(),
        "low": low,
        "high": high,
    }


def _without_maps(layer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in layer.items() if name != "maps"}


def _prediction(subject: Subject, position: int) -> str:
    images, chosen = subject.images, subject.predicted[position]
    share = float(np.exp(subject.log_probabilities[position, chosen]))
    text = f"says {images.classes[chosen]} ({amount('accuracy', share, 1)})"
    return text if images.labels is None else f"{text}, is {images.classes[images.labels[position]]}"


def embeddings(
    subjects: Sequence[Subject], n: int, seed: int, notify: Callable[[str], None] = lambda note: None
) -> View:
    """The images by the last hidden layer of each network, in the plane by t-SNE, coloured by class.

    At most `n` images, each class in proportion, drawn with the `seed`. Without labels, the predicted classes stand in.
    Raises SweeperError where an embedding is not possible.
    """
    images, classes = subjects[0].images, subjects[0].images.classes
    of_all = subjects[0].predicted if images.labels is None else images.labels
    chosen = embedding.drawn(of_all, n, seed)
    count = counted(len(chosen), "image")
    networks = []
    for place, subject in enumerate(subjects):
        notify(
            f"Embedding {count} by t-SNE, up to a minute: network {place + 1} of {len(subjects)} ({subject.name}) ..."
        )
        try:
            points = embedding.tsne(hidden_outputs(subject.network.network, images.images[chosen]), seed)
        except ValueError as error:
            raise SweeperError(f"{subject.name} cannot be embedded: {error}") from error
        labels = (subject.predicted if images.labels is None else images.labels)[chosen]
        rounded = [[round(float(x), 2), round(float(y), 2)] for x, y in points]
        networks.append({"name": subject.name, "points": rounded, "labels": labels.tolist()})
    present = np.unique([label for network in networks for label in network["labels"]]).tolist()
    named, which = present, ""
    if len(present) > MOST_NAMED:
        scores = class_scores(of_all, subjects[0].predicted, len(classes))
        named = sorted(worst(scores, MOST_NAMED))
        which = f" The {MOST_NAMED} classes that {subjects[0].name} gets wrong most are named."
    of = "true" if images.labels is not None else "predicted"
    title = f"t-SNE of the last hidden layer, {count}, by {of} class"
    return View(
        name="embedding",
        title="t-SNE of the last hidden layer",
        how_to_read="Each dot is an image; images with similar outputs of the last hidden layer lie close together. A "
        "class in a group of its own is easy to tell, mixed colours are hard to tell apart. Distances between groups "
        f"mean little.{which}",
        images_used=f"{count} of {images.described}" if len(chosen) < len(of_all) else images.described,
        plot=Plot("embeddings", {"networks": networks, "classes": list(classes), "named": named, "title": title}),
        sentences=[f"Perplexity {embedding.perplexity_for(len(chosen)):.3g}, seed {seed}; colours are {of} classes."],
        data={"images": chosen.tolist(), "classes": list(classes), "networks": networks, "seed": seed},
    )
