import pytest

from sweeper.config import ConvNetConfig
from sweeper.models.layers import n_multiply_adds, n_parameters, trace

GRAY = ((1, 28, 28), 10)
COLOUR = ((3, 32, 32), 10)
LENET5 = {"filters": (6, 16, 120), "kernel_size": 5, "padding": (2, 0, 0), "pool_after": (1, 2)}
STEP_3 = LENET5 | {
    "filters": (6, 16, 16, 120),
    "kernel_size": (5, 1, 5, 5),
    "padding": (2, 0, 0, 0),
    "pool_after": (1, 3),
}
STEP_4 = STEP_3 | {"kernel_size": (3, 1, 5, 5), "padding": (1, 0, 0, 0)}
EXTRA_CONV = {
    "filters": (6, 16, 32, 120), "kernel_size": (5, 5, 3, 1), "pool_after": (1, 2, 3), "input_padding": 2,
}  # fmt: skip
DEEP = {
    "filters": (32, 32, 64, 64, 128, 128, 256, 256), "kernel_size": 3, "padding": 1, "pool_after": (2, 4, 6, 8),
    "hidden": (512,), "dropout_pool": 0.2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "data", "expected"),
    [
        (LENET5, GRAY, 61_706),
        (LENET5 | {"dropout_conv": (0.0, 0.0, 0.1)}, GRAY, 61_706),
        (LENET5 | {"padding": 0, "input_padding": 2}, GRAY, 61_706),
        (LENET5 | {"pooling": "avg", "activation": "tanh"}, GRAY, 61_706),
        (STEP_3, GRAY, 65_818),
        (STEP_4, GRAY, 65_722),
        (STEP_4 | {"batch_norm": True}, GRAY, 66_038),
        (LENET5 | {"filters": (32, 64, 120), "padding": 0, "input_padding": 2}, GRAY, 255_230),
        (EXTRA_CONV, GRAY, 22_186),
        # By hand: convs 896 + 9,248 + 18,496 + 36,928 + 73,856 + 147,584 + 295,168 + 590,080; the 2x2x256 map
        # into 512 units 524,800; 5,130 for the classes.
        (DEEP, COLOUR, 1_702_186),
    ],
)
def test_published_architectures_have_their_parameter_counts(fields, data, expected):
    assert n_parameters(trace(ConvNetConfig(**fields), *data)) == expected


def test_multiply_adds_of_lenet5_are_those_worked_out_by_hand():
    # conv1 28*28*6*25, conv2 10*10*16*150, conv3 120*400, linear 120*84 and 84*10
    assert n_multiply_adds(trace(ConvNetConfig(**LENET5), *GRAY)) == 117_600 + 240_000 + 48_000 + 10_080 + 840


def test_same_padding_keeps_the_map():
    layers = trace(ConvNetConfig(filters=(4,), kernel_size=4, padding="same", pool_after=()), *GRAY)
    assert layers[0].output_shape == (4, 28, 28)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"filters": (6, 16, 120, 8), "kernel_size": 5, "padding": (2, 0, 0, 0)},
            "conv4: kernel_size 5 is larger than its 1x1 map",
        ),
        ({"filters": (6,), "kernel_size": 28, "pool_after": (1,)}, "pool1: a 1x1 map is too small"),
        ({"filters": (6, 16), "kernel_size": (5, 5, 3)}, "kernel_size has 3 values for 2 conv layers"),
        ({"filters": (6,), "pool_after": (1, 2)}, "pool_after must name convs from 1 to 1, got 2"),
        ({"filters": (6,), "pool_after": (1,), "dropout": (0.1, 0.2)}, "dropout has 2 values for 1 hidden layers"),
        ({"filters": (6,), "pool_after": (1,), "dropout_pool": (0.1, 0.2)}, "dropout_pool has 2 values for 1 pools"),
        ({"filters": (6,), "pool_after": (), "aux_heads": ("pool1",)}, "aux_heads names pool1"),
    ],
)
def test_impossible_network_is_refused_with_the_layer(fields, message):
    with pytest.raises(ValueError, match=message):
        trace(ConvNetConfig(**fields), *GRAY)
