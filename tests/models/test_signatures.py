from typing import Annotated, Literal

import pytest
from pydantic import Field
from torch import nn

from sweeper.config import CustomConfig, check_value
from sweeper.errors import UsageError
from sweeper.models import signatures
from sweeper.models.own_networks import OwnNetwork


def network(call):
    return OwnNetwork("nets:net", call, "0" * 64)


def typed(
    input_shape,
    n_classes,
    width: int,
    rate: float = 0.1,
    kind: Literal["a", "b"] = "a",
    sizes: list[int] = (3, 5),
    scales: "tuple[float, ...]" = (),
    few: Annotated[int, Field(ge=1, le=4)] = 2,
    name: str | None = None,
    layer: type[nn.Module] = nn.ReLU,
    odd: "Undefined" = None,  # noqa: F821
    *,
    free=None,
    **rest,
):
    return None


KIND = signatures.kind_of(network(typed))


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("width", 8, 8),
        ("rate", 1, 1.0),
        ("kind", "b", "b"),
        ("sizes", [1, 2], (1, 2)),
        ("scales", [1, 0.5], (1.0, 0.5)),
        ("few", 4, 4),
        ("name", "x", "x"),
        ("free", [1, ["a", True]], (1, ("a", True))),
        ("network", "nets:net", "nets:net"),
        ("softmax_output", True, True),
    ],
)
def test_value_that_the_annotation_allows_is_taken(name, value, found):
    checked = check_value(KIND, name, value)
    assert (checked, type(checked)) == (found, type(found))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("width", "a", r"must be int, as annotated \(should be a valid integer\), got 'a'"),
        ("width", True, "must be int"),
        ("width", 2.5, "must be int"),
        ("width", 2**40, "at most 2147483647"),
        ("rate", "0.1", "must be float"),
        ("rate", float("nan"), "must be a finite number"),
        ("kind", "c", "must be Literal.*'a' or 'b'.*got 'c'"),
        ("sizes", 3, "must be list"),
        ("sizes", [3, "a"], r"must be list\[int\], .*got \[3, 'a'\]"),
        ("few", 5, "less than or equal to 4"),
        ("free", {"a": 1}, "must be true, false, a number, a string or an array of them, got {'a': 1}"),
        ("layer", "ReLU", r"must be left at its default, because a space file cannot hold such a value, got 'ReLU'"),
        ("odd", 3, "is annotated Undefined, which no space file can give"),
    ],
)
def test_value_that_the_annotation_forbids_is_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        check_value(KIND, name, value)


def test_fields_are_those_of_users_networks_and_the_named_arguments():
    names = list(KIND.__dataclass_fields__)
    assert names == [
        "family", "softmax_output", "network", "code_sha256",
        "width", "rate", "kind", "sizes", "scales", "few", "name", "layer", "odd", "free",
    ]  # fmt: skip


def test_defaults_are_those_that_a_space_file_could_give():
    assert signatures.defaults(network(typed)) == {
        "rate": 0.1, "kind": "a", "sizes": (3, 5), "scales": (), "few": 2, "name": None, "odd": None, "free": None,
    }  # fmt: skip
    assert signatures.required(network(typed)) == ["width"]


def test_default_that_its_own_annotation_forbids_is_told():
    def odd(input_shape, n_classes, width: int = 0.5):
        return None

    with pytest.raises(UsageError, match="the default of nets:net's argument width must be int, as annotated"):
        signatures.defaults(network(odd))


def test_call_gets_values_of_the_annotated_types():
    assert signatures.keywords(network(typed), {"sizes": (1, 2), "rate": 1.0}) == {"sizes": [1, 2], "rate": 1.0}
    with pytest.raises(ValueError, match="nets:net takes no argument depth"):
        signatures.keywords(network(typed), {"depth": 1})


@pytest.mark.parametrize(
    ("value", "found"), [(0, 0.0), (1, 1.0), (0.5, 0.5), (True, True), ("a", "a"), ((1, 2), (1, 2))]
)
def test_number_for_an_argument_whose_default_is_a_float_is_one_too(value, found):
    def net(input_shape, n_classes, rate=0.5, depth=2):
        pass

    given = signatures.own_arguments(network(net))["rate"].checked(value)
    assert (given, type(given)) == (found, type(found))
    assert type(signatures.own_arguments(network(net))["depth"].checked(3)) is int


class Bare(nn.Module):
    """A module with torch's own signature."""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda width: None, r"must take the arguments input_shape .* and n_classes by name, got \(width\)"),
        (lambda *args, **kwargs: None, r"must take the arguments input_shape"),
        (lambda a, /, input_shape, n_classes: None, "must take all arguments by name, got the positional-only a"),
        (lambda input_shape, n_classes, momentum: None, "takes an argument momentum, but a space file means another"),
        (lambda input_shape, n_classes, epochs=3: None, "takes an argument epochs, but .*: rename it"),
        (lambda input_shape, n_classes, extends=3: None, "takes an argument extends, but .*: rename it"),
        (Bare, "must take the arguments input_shape"),
        (print, "must take the arguments input_shape"),
        (type, "has no signature|must take"),
    ],
)
def test_signature_that_sweeper_cannot_call_is_refused(call, message):
    with pytest.raises(UsageError, match=f"^nets:net {message}"):
        signatures.kind_of(network(call))


def test_arguments_and_code_decide_which_network_it_is():
    config = CustomConfig(network="nets:net", code_sha256="0" * 64, arguments={"b": [1], "a": 2})
    assert config == CustomConfig(network="nets:net", code_sha256="0" * 64, arguments=(("a", 2), ("b", (1,))))
    assert config.values() == {
        "family": "custom", "softmax_output": False, "network": "nets:net", "code_sha256": "0" * 64, "a": 2, "b": (1,),
    }  # fmt: skip
    assert config != CustomConfig(network="nets:net", code_sha256="1" * 64, arguments={"b": [1], "a": 2})
