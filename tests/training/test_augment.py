import math

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import functional as transforms

from sweeper.config import TrainConfig
from sweeper.training import augment
from sweeper.training.augment import Draws

N = 16
EVERYTHING = TrainConfig(
    flip_p=0.5, rotation=30, translation=0.2, crop_padding=3, brightness=0.4, contrast=0.4, saturation=0.4,
    sharpness=3.0, sharpness_p=0.5, erasing_p=0.5,
)  # fmt: skip


@pytest.fixture(
    params=[(1, 28, 28), (3, 24, 32), (3, 23, 17), (3, 3, 3), (3, 2, 2), (1, 1, 1), (3, 1, 6)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def images(request):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (N, *request.param), dtype=torch.uint8, generator=generator)


def drawn(config, images, seed=0):
    return augment.draw(config, len(images), *images.shape[2:], torch.Generator().manual_seed(seed))


def of_size(height, width, n=20_000):
    """So many images of a size, without the memory."""
    return torch.zeros((), dtype=torch.uint8).expand(n, 1, height, width)


def each(images, change):
    """`change` of one image and its place in the batch, for all of them."""
    return torch.stack([change(place, image) for place, image in enumerate(images)]).to(torch.float32)


def degrees(draws, place):
    return math.degrees(draws.angle[place].item())


def cropped(image, shift, padding):
    top, left = (padding - shift).tolist()
    return transforms.crop(transforms.pad(image, padding), top, left, *image.shape[1:])


def nearest_is_clear(angles, height, width):
    """Whether a pixel's source is further than 1e-4 from the middle between two pixels: (n, 1, height, width).

    There the order of float operations decides which of the two is the nearest.
    """
    y = torch.arange(height, dtype=torch.float64).view(-1, 1) - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    sine, cosine = (value.view(-1, 1, 1) for value in (angles.double().sin(), angles.double().cos()))
    source_y, source_x = cosine * y + sine * x + (height - 1) / 2, cosine * x - sine * y + (width - 1) / 2
    clear = [((source - source.floor()) - 0.5).abs() > 1e-4 for source in (source_y, source_x)]
    return (clear[0] & clear[1])[:, None]


def test_flip_is_torchvisions(images):
    config = TrainConfig(flip_p=0.5)
    draws = drawn(config, images)
    assert set(draws.flip.tolist()) == {True, False}
    expected = each(images, lambda i, image: transforms.hflip(image) if draws.flip[i] else image)
    assert torch.equal(augment.augmented(images, draws), expected)


@pytest.mark.parametrize("most", [20.0, 180.0])
def test_rotation_is_torchvisions(images, most):
    draws = drawn(TrainConfig(rotation=most, rotation_p=0.7), images)
    assert 0 < (draws.angle == 0).sum() < N / 2
    assert -math.radians(most) <= draws.angle.min() < -0.5 * math.radians(most)
    assert 0.5 * math.radians(most) < draws.angle.max() <= math.radians(most)
    expected = each(images, lambda i, image: transforms.rotate(image, degrees(draws, i)))
    clear = nearest_is_clear(draws.angle, *images.shape[2:])
    assert clear.float().mean() > 0.98
    assert torch.equal(augment.augmented(images, draws) * clear, expected * clear)


@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_rotation_by_quarters_moves_every_pixel_to_its_place(side):
    images = torch.arange(4 * side * side, dtype=torch.uint8).view(4, 1, side, side)
    draws = Draws(angle=torch.tensor([0, 0.5, 1, -0.5]) * math.pi)
    expected = each(images, lambda quarters, image: torch.rot90(image, quarters, (1, 2)))
    assert torch.equal(augment.augmented(images, draws), expected)


def test_crop_with_padding_is_torchvisions(images):
    draws = drawn(TrainConfig(crop_padding=4), images)
    assert draws.shift.abs().max() == 4
    expected = each(images, lambda i, image: cropped(image, draws.shift[i], 4))
    assert torch.equal(augment.augmented(images, draws), expected)


@pytest.mark.parametrize("translation", [0.25, 0.9])
def test_translation_is_torchvisions(images, translation):
    draws = drawn(TrainConfig(translation=translation), images)

    def translated(i, image):
        down, right = draws.shift[i].tolist()
        return transforms.affine(image, angle=0, translate=[right, down], scale=1, shear=[0.0])

    assert torch.equal(augment.augmented(images, draws), each(images, translated))


def test_all_moves_follow_one_another_as_torchvisions(images):
    draws = drawn(TrainConfig(flip_p=0.5, rotation=30, crop_padding=3), images)

    def moved(i, image):
        image = transforms.hflip(image) if draws.flip[i] else image
        return cropped(transforms.rotate(image, degrees(draws, i)), draws.shift[i], 3)

    unclear = ~nearest_is_clear(draws.angle, *images.shape[2:])
    clear = 1 - each(unclear, lambda i, pixels: cropped(pixels.to(torch.uint8), draws.shift[i], 3))
    assert torch.equal(augment.augmented(images, draws) * clear, each(images, moved) * clear)


@pytest.mark.parametrize("rotation", [0.0, 45.0])
def test_shift_of_more_than_the_image_leaves_nothing_of_it(rotation):
    images = torch.full((N, 1, 5, 8), 255, dtype=torch.uint8)
    draws = drawn(TrainConfig(crop_padding=2**31 - 1, rotation=rotation), images)
    assert not augment.augmented(images, draws).any()


def test_translation_and_crop_move_together():
    draws = drawn(TrainConfig(translation=0.25, crop_padding=2), of_size(8, 16))
    assert draws.shift.amin(0).tolist() == [-4, -6]
    assert draws.shift.amax(0).tolist() == [4, 6]


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_jitter_is_torchvisions(images, name):
    draws = drawn(TrainConfig(**{name: 0.8}, jitter_p=0.8), images)
    factors = getattr(draws, name)
    assert 0 < (factors == 1).sum() < N / 2
    assert 0.2 <= factors.min() < 0.6
    assert 1.4 < factors.max() <= 1.8
    adjust = getattr(transforms, f"adjust_{name}")
    expected = each(images, lambda i, image: 255 * adjust(image / 255, factors[i].item()))
    torch.testing.assert_close(augment.augmented(images, draws), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("sharpness", [0.0, 2.5])
def test_sharpness_is_torchvisions(images, sharpness):
    draws = drawn(TrainConfig(sharpness=sharpness, sharpness_p=0.5), images)
    assert set(draws.sharpness.tolist()) == {1.0, sharpness}
    expected = each(images, lambda i, image: 255 * transforms.adjust_sharpness(image / 255, draws.sharpness[i].item()))
    torch.testing.assert_close(augment.augmented(images, draws), expected, rtol=1e-4, atol=1e-3)


def test_recolouring_follows_the_moves_in_the_order_that_is_said(images):
    draws = drawn(EVERYTHING, images)
    moves = augment.augmented(images, Draws(flip=draws.flip, angle=draws.angle, shift=draws.shift))

    def recoloured(i, image):
        for name in ("brightness", "contrast", "saturation", "sharpness"):
            image = getattr(transforms, f"adjust_{name}")(image, getattr(draws, name)[i].item())
        return 255 * image

    torch.testing.assert_close(augment.augmented(images, draws), each(moves / 255, recoloured), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_erasing_is_torchvisions(images, layout):
    draws = drawn(TrainConfig(erasing_p=0.6), images)
    sizes = draws.erased[:, 2:].prod(1)
    assert 0 < (sizes == 0).sum() < N
    inputs = (images.to(torch.float32) - 100).contiguous(memory_format=layout)
    expected = each(inputs, lambda i, image: transforms.erase(image, *draws.erased[i].tolist(), v=torch.tensor(0.0)))
    changed = augment.erased(inputs, draws)
    assert torch.equal(changed, expected)
    assert changed.is_contiguous(memory_format=layout)


def test_rectangles_have_the_areas_ratios_and_places_that_are_asked_for():
    height, width = 240, 320
    erased = drawn(TrainConfig(erasing_p=1.0, erasing_area=0.2), of_size(height, width)).erased
    top, left, n_rows, n_columns = erased.T.double()
    share = n_rows * n_columns / (height * width)
    assert 0.019 < share.min() < 0.0205
    assert 0.199 < share.max() < 0.203
    assert share.mean() == pytest.approx(0.11, abs=0.002)  # uniform between them
    ratio = (n_rows / n_columns).log()
    assert ratio.min() == pytest.approx(math.log(0.3), abs=0.03)
    assert ratio.max() == pytest.approx(-math.log(0.3), abs=0.03)
    assert ratio.mean() == pytest.approx(0, abs=0.02)
    for start, length, side in ((top, n_rows, height), (left, n_columns, width)):
        assert start.min() == 0
        assert (start + length).max() == side
        where = start / (side - length).clamp(min=1)
        assert where.mean() == pytest.approx(0.5, abs=0.01)


def test_rectangle_never_leaves_the_image(images):
    top, left, n_rows, n_columns = drawn(TrainConfig(erasing_p=1.0, erasing_area=0.99), images).erased.T
    assert min(top.min(), left.min()) >= 0
    assert min(n_rows.min(), n_columns.min()) >= 1
    assert (top + n_rows).max() <= images.shape[2]
    assert (left + n_columns).max() <= images.shape[3]


@pytest.mark.parametrize("area", [0.001, 0.01])
def test_largest_area_below_the_usual_least_is_the_area(area):
    erased = drawn(TrainConfig(erasing_p=1.0, erasing_area=area), of_size(400, 400)).erased
    assert erased[:, 2:].prod(1).double().mean() / 400**2 == pytest.approx(area, rel=0.02)


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0)])
def test_each_change_happens_to_the_share_of_images_that_is_asked_for(probability, share):
    config = TrainConfig(
        flip_p=probability, rotation=10, rotation_p=probability, brightness=0.1, jitter_p=probability,
        sharpness_p=probability, erasing_p=probability,
    )  # fmt: skip
    draws = drawn(config, of_size(8, 8))
    nothing = {"flip": False, "angle": 0.0, "brightness": 1.0, "sharpness": 1.0}
    for name, value in nothing.items():
        values = getattr(draws, name)
        changed = 0.0 if values is None else (values != value).float().mean()
        assert changed == pytest.approx(share, abs=0.015 if 0 < share < 1 else 0), name
    emptied = 1.0 if draws.erased is None else (draws.erased == 0).all(1).float().mean()
    assert 1 - emptied == pytest.approx(share, abs=0.015 if 0 < share < 1 else 0)


def assert_uniform(values, low, high):
    """Bounds reached, and the mean and variance of a uniform distribution, within five standard errors."""
    values = values.double()
    reach = 10 * (high - low) / len(values)
    assert low - 1e-5 <= values.min() < low + reach
    assert high - reach < values.max() <= high + 1e-5
    deviation = (high - low) / math.sqrt(12)
    assert values.mean() == pytest.approx((low + high) / 2, abs=5 * deviation / math.sqrt(len(values)))
    assert values.std() == pytest.approx(deviation, rel=0.02)


def test_angles_and_factors_are_uniform_between_their_bounds():
    config = TrainConfig(rotation=30, brightness=0.2, contrast=0.9, saturation=1.5)
    draws = drawn(config, of_size(8, 8))
    assert_uniform(draws.angle, -math.pi / 6, math.pi / 6)
    assert_uniform(draws.brightness, 0.8, 1.2)
    assert_uniform(draws.contrast, 0.1, 1.9)
    assert_uniform(draws.saturation, 0.0, 2.5)
    correlations = torch.corrcoef(torch.stack([draws.angle, draws.brightness, draws.contrast, draws.saturation]))
    assert (correlations - torch.eye(4)).abs().max() < 0.04


@pytest.mark.parametrize(("crop_padding", "translation"), [(4, 0.0), (0, 0.25)])
def test_shifts_are_whole_pixels_of_all_sizes_alike(crop_padding, translation):
    shift = drawn(TrainConfig(crop_padding=crop_padding, translation=translation), of_size(24, 32)).shift
    most = (crop_padding, crop_padding) if crop_padding else (6, 8)
    for side, values in zip(most, shift.T, strict=True):
        counts = torch.bincount(values + side)
        assert len(counts) == 2 * side + 1
        # The outermost translations are rounded to from one side only, as torchvision's.
        inner = counts[1:-1] if translation else counts
        assert inner.min() > 0.85 * inner.float().mean()
        assert counts[0] > 0.4 * inner.float().mean()


def test_each_image_has_a_draw_of_its_own_and_the_same_generator_gives_the_same(images):
    draws, again, others = (drawn(EVERYTHING, images, seed) for seed in (0, 0, 1))
    for name, values in vars(draws).items():
        assert torch.equal(values, getattr(again, name)), name
        if images.shape[2:].numel() > 9:  # smaller ones have few ways to be moved and erased
            assert not torch.equal(values, getattr(others, name)), name
            assert len(values.unique(dim=0)) > 1, name
    for name in ("angle", "brightness", "contrast", "saturation"):
        assert len(getattr(draws, name).unique()) == N, name


def test_draws_come_from_the_given_generator_alone(images):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    augment.augmented(images, drawn(EVERYTHING, images))
    assert torch.equal(torch.get_rng_state(), state)


def test_what_one_change_draws_does_not_depend_on_another(images):
    everything = drawn(EVERYTHING, images)
    assert torch.equal(drawn(TrainConfig(rotation=30), images).angle, everything.angle)
    assert torch.equal(drawn(TrainConfig(erasing_p=0.5), images).erased, everything.erased)


ALONE = [
    {"flip_p": 0.5}, {"rotation": 5.0}, {"translation": 0.1}, {"crop_padding": 1}, {"brightness": 0.1},
    {"contrast": 0.1}, {"saturation": 0.1}, {"sharpness_p": 0.1}, {"erasing_p": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("fields", ALONE, ids=lambda fields: next(iter(fields)))
def test_anything_turns_it_on_and_only_that_is_drawn(fields):
    config = TrainConfig(**fields)
    assert augment.is_on(config)
    draws = drawn(config, of_size(8, 8, n=2))
    assert sum(values is not None for values in vars(draws).values()) == 1


def test_strongest_changes_leave_pixels_that_are_numbers(images):
    strongest = TrainConfig(brightness=255, contrast=255, saturation=255, sharpness=255, sharpness_p=0.5)
    changed = augment.augmented(images, drawn(strongest, images))
    assert changed.min() >= 0
    assert changed.max() <= 255


@pytest.mark.parametrize(
    "fields",
    [{}, {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "jitter_p": 0.0}, {"rotation": 9, "rotation_p": 0.0}],
)
def test_nothing_is_on_by_default_or_with_a_probability_of_0(fields):
    assert not augment.is_on(TrainConfig(**fields))


def test_images_that_nothing_happens_to_stay_bitwise_as_they_are(images):
    one = torch.ones(N)
    shift, nowhere = torch.zeros(N, 2, dtype=torch.int64), torch.zeros(N, 4, dtype=torch.int64)
    nothing = Draws(one < 0, 0 * one, shift, one, one, one, one, nowhere)
    for draws in (nothing, Draws()):
        changed = augment.augmented(images, draws)
        assert torch.equal(changed, images.to(torch.float32))
        assert torch.equal(augment.erased(changed, draws), changed)


def test_raw_images_are_not_written_to(images):
    before = images.clone()
    augment.augmented(images, drawn(EVERYTHING, images))
    assert torch.equal(images, before)


def changed(config, images):
    draws = drawn(config, images)
    return augment.erased(augment.augmented(images, draws), draws)


def test_no_shape_and_no_step_depends_on_a_value(images):
    """A tensor without values refuses to have them read, and a shape that depends on them."""
    with FakeTensorMode() as mode:
        out = changed(EVERYTHING, mode.from_tensor(images))
    assert (out.shape, out.dtype) == (images.shape, torch.float32)


class Operations(TorchDispatchMode):
    """The names of all operations on tensors."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(str(function))
        return function(*args, **(kwargs or {}))


def test_nothing_is_copied_between_host_and_device(images):
    with Operations() as seen:
        changed(EVERYTHING, images)
    assert "aten.gather.default" in seen.names
    # The first is how a tensor of Python's numbers begins, the others how a value or a number of values is read.
    assert not seen.names & {
        "aten.lift_fresh.default", "aten._local_scalar_dense.default", "aten.nonzero.default",
        "aten.masked_select.default",
    }  # fmt: skip
