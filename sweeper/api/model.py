"""`sweeper.load_model`: a trained network, with the preprocessing of its training."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from sweeper.api import arguments
from sweeper.api.keywords import StoreKeywords
from sweeper.api.running import Code, translated, use_code
from sweeper.errors import SweeperError, UsageError, joined
from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from torch import nn

    from sweeper.analysis.network import TrainedNetwork
    from sweeper.analysis.prediction import Prediction


class Model:
    """A trained network on the CPU, in evaluation mode.

    `module` takes raw pixels, uint8 (n, channels, height, width), and gives logits (n, classes). `input_shape` is
    (channels, height, width).
    """

    def __init__(self, store: Store, network: "TrainedNetwork") -> None:
        self._store, self._network = store, network

    @property
    def name(self) -> str:
        return self._network.name

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return self._network.classes

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self._network.input_shape

    @property
    def module(self) -> "nn.Module":
        return self._network.network

    def predict(
        self, images: Any, *, top: int = 3, skip_bad: bool = False, max_pixels: int | str | None = None
    ) -> "list[Prediction]":
        """The `top` most probable classes of each image, in the order of the images.

        `images` are paths of files and folders, or one; or arrays as `probabilities` takes them. Raises SweeperError,
        naming the files that are no images, unless `skip_bad` leaves them out, and UsageError for what is no image.
        `max_pixels` is the most pixels that a file may have, such as "108M"; None is 64M.
        """
        if not isinstance(top, int) or isinstance(top, bool) or top < 1:
            raise UsageError(f"top must be an integer of at least 1, got {top!r}")
        from sweeper.analysis import prediction

        paths, most = _paths(images), arguments.most_pixels(max_pixels)
        with translated():
            if paths is None:
                found_in = (prediction.predict_images(self._network, array, top=top) for array in self._arrays(images))
                return [each for some in found_in for each in some]
            found = list(prediction.predict_files(self._store, self._network, paths, top=top, max_pixels=most))
            bad = [each for each in found if not isinstance(each, prediction.Prediction)]
            if bad and not skip_bad:
                more = f", nor {len(bad) - 1:,} more" if len(bad) > 1 else ""
                raise SweeperError(
                    f"{joined([bad[0].file])} cannot be predicted: {bad[0].reason}{more}; skip_bad=True leaves them out"
                )
            return [each for each in found if isinstance(each, prediction.Prediction)]

    def probabilities(self, images: Any) -> "NDArray[np.float32]":
        """The probabilities (n, classes) of one image or of n, of any size: arrays, or images of Pillow.

        Grey or colour, channels first or last, uint8 or floats, as the registered model takes them. Raises UsageError.
        """
        import numpy as np

        from sweeper.analysis import prediction

        with translated():
            rows = [prediction.probabilities(self._network, array) for array in self._arrays(images)]
        return np.concatenate(rows) if rows else np.empty((0, len(self.classes)), np.float32)

    def _arrays(self, images: Any) -> "list[NDArray[np.generic]]":
        """The arrays of one image or of several; a list may have images of several sizes."""
        import numpy as np
        from PIL import Image

        several, exif = images if isinstance(images, list | tuple) else [images], self._network.preprocessing.exif
        return [np.asarray(_plain(image, exif=exif) if isinstance(image, Image.Image) else image) for image in several]

    def __repr__(self) -> str:
        size = "x".join(map(str, self.input_shape))
        return f"<Model {self.name}: {len(self.classes)} classes ({joined(self.classes)}), images {size}>"


def _paths(images: Any) -> list[str] | None:
    """The paths, if these are paths; None for images themselves."""
    if isinstance(images, str | os.PathLike):
        return [os.path.expanduser(os.fspath(images))]
    if isinstance(images, Sequence) and images and all(isinstance(each, str | os.PathLike) for each in images):
        return [os.path.expanduser(os.fspath(each)) for each in images]
    return None


def _plain(image: "Image.Image", *, exif: bool) -> "Image.Image":
    """The image in grey or in red, green and blue, with opacity if it has one; with `exif`, upright as files are."""
    from PIL import ImageOps

    if exif:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):  # more than 8 bits
        return image
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
    # As arrays, others would be numbers of colours in a palette, or colours that are not red, green and blue.
    return image if image.mode in ("1", "L", "RGB") else image.convert("RGB")


@arguments.takes(StoreOptions)
def load_model(name: str, *, code: Code = (), **options: Unpack[StoreKeywords]) -> Model:
    """The network of this name: NAME@ALIAS or NAME/VERSION of a registered model, STUDY:TRIAL, or the id of a run.

    `code` are files of networks of your own, which are run. Raises UsageError for a name of nothing, and SweeperError
    if the store cannot be used.
    """
    with translated():
        store = arguments.store_of(options)
        use_code(code)
        from sweeper.analysis.network import find

        return Model(store, find(store, str(name), "load_model"))
