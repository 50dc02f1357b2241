import pytest

from sweeper.config import Configuration, CustomConfig, TrainConfig
from sweeper.errors import UsageError
from sweeper.models import code_files
from sweeper.spaces.feasibility import trace
from tests.models.own_code import forget_code, in_use
from tests.spaces.test_reader import minimal, parse

# Three convs, or four with other kernels.
DEEPER = """
filters = { choices = [[6, 16, 120], [6, 16, 32, 120]] }
kernel_size = { choices = [[5, 5, 3, 1]], when = { filters = [6, 16, 32, 120] } }
pool_after = { choices = [[1, 2, 3]], when = { filters = [6, 16, 32, 120] } }
input_padding = 2
"""


def of_shape(model):
    return parse(minimal(model).replace("padding = [2, 0, 0]\n", ""))


def test_conditional_shapes_count_only_under_their_condition():
    space = of_shape(DEEPER)
    assert space.parameters["kernel_size"].choices == ((5, 5, 3, 1),)


def test_conditional_choice_that_fits_nowhere_is_named():
    with pytest.raises(
        UsageError, match=r"kernel_size \(5, 5, 3, 2\) fits no network of this space: conv4: .* 1x1 map"
    ):
        of_shape(DEEPER.replace("[5, 5, 3, 1]", "[5, 5, 3, 1], [5, 5, 3, 2]"))


def test_unconditional_choice_is_named_where_its_conditional_companions_do_not_save_it():
    with pytest.raises(UsageError, match=r"filters \(6, 16, 120\) fits no network of this space: kernel_size has 4"):
        of_shape(DEEPER.replace(", when = { filters = [6, 16, 32, 120] } }\npool_after", " }\npool_after"))


def test_choice_whose_condition_never_holds_is_no_misfit():
    space = of_shape("kernel_size = { choices = [99], when = { pooling = 'avg' } }\ninput_padding = 2")
    assert space.point(space.variants["baseline"].configuration) == {}


def test_condition_on_a_parameter_that_shapes_nothing_counts():
    model = (
        "pooling = {{ choices = ['max', 'avg'] }}\nkernel_size = {{ choices = [{}], when = {{ pooling = 'avg' }} }}\n"
    )
    assert of_shape(model.format(3) + "input_padding = 2").parameters["kernel_size"].choices == (3,)
    with pytest.raises(UsageError, match="kernel_size 99 fits no network of this space"):
        of_shape(model.format(99) + "input_padding = 2")


def test_fixed_values_that_fit_under_no_condition_are_named_as_such():
    text = minimal(
        "kernel_size = { choices = [3], when = { pooling = 'max' } }\nfilters = [6]\npool_after = [2]",
        rest="[variants.baseline]\npool_after = [1]\n",
    ).replace("padding = [2, 0, 0]", "")
    reason = "pool_after must name convs from 1 to 1, got 2"
    with pytest.raises(UsageError, match=f"kernel_size 3 fits no network of this space: {reason}"):
        parse(text)
    with pytest.raises(UsageError, match=f"the fixed values give no valid network: {reason}"):
        parse(text.replace("'max'", "'avg'"))


@pytest.mark.parametrize("freeze_epochs", [0, 1])
def test_classifier_can_train_first_only_if_the_network_tells_it(tmp_path, monkeypatch, freeze_epochs):
    forget_code(monkeypatch)
    sha256 = code_files.read(in_use(tmp_path)).sha256
    configuration = Configuration(
        CustomConfig(network="nets:TinyNet", code_sha256=sha256), TrainConfig(freeze_epochs=freeze_epochs)
    )
    if freeze_epochs:
        with pytest.raises(ValueError, match=r"^freeze_epochs must be 0 for a network "):
            trace(configuration, (1, 8, 8), 2)
    else:
        assert trace(configuration, (1, 8, 8), 2)
