"""Options for reading any data set: which classes, at what size, in colour or grey."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sweeper.config.fields import Checked, ruled
from sweeper.images.value_range import ValueRange
from sweeper.validators import boolean, count, instance_of, integer, one_of, optional, sequence, text

# How an image of other proportions becomes one of the wanted size.
Fit = Literal["pad", "crop", "stretch"]
# Where the channels of images in an array are: before or after height and width.
Channels = Literal["first", "last"]
# New class names in label order, each with the names that the data set itself gives to it.
ClassMap = tuple[tuple[str, tuple[str, ...]], ...]
# What is behind transparent pixels.
Background = Literal["white", "black"]
# A colour image of this side takes 50 MB: no network here can handle such images.
MOST_SIDE = 4096
# The fields that are about folders of images.
FOLDER_OPTIONS = (
    *("train_dir", "val_dir", "test_dir", "depth"),
    *("labels", "image_column", "label_column", "split_column"),
)
# The fields, beside `classes`, that say what becomes of the data set's own classes.
CLASS_OPTIONS = ("map", "min_per_class")
# The fields of which ImageSet.conversions tells whether they changed a pixel, and what they made of it.
TOLD_BY_CONVERSIONS = ("fit", "background", "no_exif", "channels")

# The fields that are stored only where they are given: older studies lack them.
STORED_IF_GIVEN = (
    *("fit", "max_pixels", "resplit", *FOLDER_OPTIONS, *CLASS_OPTIONS),
    *("value_range", "background", "no_exif", "channels"),
)


@dataclass(frozen=True)
class DataOptions(Checked):
    """How the images of a data set are read.

    `map` gives new classes, each made of one or more of the data set's own; classes that it does not name are left out.
    `classes` names the classes to keep, in label order; empty keeps all. Classes with fewer training images than
    `min_per_class` are left out. `resize` is the side of square images, in pixels, and `fit` how images of other
    proportions become square. With `skip_bad`, files that are not images of the right kind are left out rather than
    refused; `max_pixels` is the most pixels that one may have, None for what nearly all photographs have. `value_range`
    has the stored values that become black and white in users' own images; None goes by the values. `background` is
    behind transparent pixels and fills what `fit` pads. With `no_exif`, photographs are not turned upright.
    `channels` says where the images of an .npz file have their channels; None goes by the shapes. With `resplit`, the
    data set's own validation part joins the training images.

    The others are about folders of images. `train_dir`, `val_dir` and `test_dir` name the folders of the parts, as
    paths from the data set's folder; None goes by their names. `depth` is how many folders deep a class is named (1 or
    2); None is 1, but refuses data where it may be 2.
    """

    classes: tuple[str, ...] = ruled((), sequence(text, empty=True))
    resize: int | None = ruled(None, optional(integer(1, MOST_SIDE)))
    fit: Fit = ruled("pad", one_of(*get_args(Fit)))
    grayscale: bool = ruled(False, boolean)
    skip_bad: bool = ruled(False, boolean)
    max_pixels: int | None = ruled(None, optional(count(1)))
    train_dir: str | None = ruled(None, optional(text))
    val_dir: str | None = ruled(None, optional(text))
    test_dir: str | None = ruled(None, optional(text))
    depth: int | None = ruled(None, optional(integer(1, 2)))
    resplit: bool = ruled(False, boolean)
    labels: str | None = ruled(None, optional(text))
    image_column: str | None = ruled(None, optional(text))
    label_column: str | None = ruled(None, optional(text))
    split_column: str | None = ruled(None, optional(text))
    map: ClassMap = ruled((), instance_of(tuple))
    min_per_class: int | None = ruled(None, optional(count(2)))
    value_range: ValueRange | None = ruled(None, optional(instance_of(ValueRange)))
    background: Background = ruled("white", one_of(*get_args(Background)))
    no_exif: bool = ruled(False, boolean)
    channels: Channels | None = ruled(None, optional(one_of(*get_args(Channels))))

    @property
    def for_folders(self) -> list[str]:
        """The options given that make sense for folders of images only, as on the command line."""
        return [f"--{name.replace('_', '-')}" for name in self._of_folders()]

    def as_json(self) -> dict[str, Any]:
        """The stored form, without the fields of STORED_IF_GIVEN that are not given."""
        common = {"classes": list(self.classes), "resize": self.resize, **({"fit": self.fit} if self.resize else {})}
        given = {name: value for name in CLASS_OPTIONS if (value := getattr(self, name))} | self._of_pixels()
        others = {"grayscale": self.grayscale, "skip_bad": self.skip_bad}
        return {**common, **others, **given, **self._of_folders(), **({"resplit": True} if self.resplit else {})}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "DataOptions":
        """The options from their stored form. Raises TypeError and ValueError for another form."""
        value_range = ValueRange(**stored["value_range"]) if "value_range" in stored else None
        class_map = tuple((new, tuple(olds)) for new, olds in stored.get("map", ()))
        given = {"classes": tuple(stored.get("classes", ())), "map": class_map, "value_range": value_range}
        return cls(**{**with_fit(stored), **given})

    def _of_folders(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in FOLDER_OPTIONS}
        # A depth of 1 only says which of two readings is meant.
        return {name: value for name, value in values.items() if value and (name, value) != ("depth", 1)}

    def _of_pixels(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.value_range is not None:
            found["value_range"] = asdict(self.value_range)
        if self.max_pixels is not None:
            found["max_pixels"] = self.max_pixels
        if self.background != DataOptions.background:
            found["background"] = self.background
        if self.no_exif:
            found["no_exif"] = True
        return found if self.channels is None else found | {"channels": self.channels}

    @property
    def own_classes(self) -> tuple[str, ...]:
        """The classes that the options name, by the data set's own names; empty if they name none."""
        return tuple(old for _, olds in self.map for old in olds) or self.classes

    @property
    def part_dirs(self) -> tuple[str | None, str | None, str | None]:
        """The folders named for training, validation and test part."""
        return self.train_dir, self.val_dir, self.test_dir


def with_fit(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The stored form with its `fit` after `resize`: before there was a choice, resized images were cropped."""
    found: dict[str, Any] = {}
    for name, value in stored.items():
        found[name] = value
        if name == "resize" and value and "fit" not in stored:
            found["fit"] = "crop"
    return found
