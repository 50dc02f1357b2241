"""Spaces that leave the precision open, before and after the images and the processor are known."""

import random
from dataclasses import replace
from itertools import islice

import pytest

from sweeper.errors import UsageError
from sweeper.models.layers import n_multiply_adds, trace
from sweeper.models.precision import FLOAT32, PrecisionRule, Resolution
from sweeper.spaces.feasible_points import _Draw
from tests.spaces.test_reader import EXAMPLE, parse

GREY = (1, 28, 28), 10
BOUND = 1_000_000  # between the networks of the example
RESOLUTION = Resolution(PrecisionRule("avx512_bf16", BOUND), *GREY)
SPACE = EXAMPLE + '\n[variants.pinned]\nprecision = "bfloat16"\n'


def opened(*overrides):
    return parse(SPACE, "precision=auto", *overrides)


def expected(configuration):
    return "bfloat16" if n_multiply_adds(trace(configuration.model, *GREY)) >= BOUND else "float32"


def test_drawn_configurations_have_the_precision_of_their_network():
    space, rng = opened().resolved(RESOLUTION), random.Random(0)
    drawn = [space.suggest(_Draw(rng)) for _ in range(30)]
    assert [one.train.precision for one in drawn] == [expected(one) for one in drawn]
    assert {one.train.precision for one in drawn} == {"float32", "bfloat16"}


def test_configuration_is_the_point_that_it_was_drawn_at():
    space = opened("dropout=0", "lr=0.1", "momentum=0").resolved(RESOLUTION)
    for point in islice(space.grid(), 0, None, 97):
        configuration = space.configuration(space.decode(point))
        assert space.point(configuration) == point
        other = {"float32": "bfloat16", "bfloat16": "float32"}[configuration.train.precision]
        assert space.point(replace(configuration, train=replace(configuration.train, precision=other))) is None


def test_override_takes_the_precision_from_variants_too():
    assert {v.configuration.train.precision for v in opened().variants.values()} == {"auto"}


def test_variant_may_name_a_precision_where_the_others_leave_it_open():
    space = parse(SPACE.replace("[train]", '[train]\nprecision = "auto"')).resolved(RESOLUTION)
    precisions = {name: variant.configuration.train.precision for name, variant in space.variants.items()}
    assert (precisions["baseline"], precisions["pinned"]) == ("float32", "bfloat16")
    assert space.point(space.variants["baseline"].configuration) is not None
    assert space.point(space.variants["pinned"].configuration) is None


def test_description_keeps_the_open_precision_and_resolves_the_variants():
    space = parse(EXAMPLE, "precision=auto")
    assert space.describe()["fixed"]["precision"] == space.describe()["variants"]["baseline"]["precision"] == "auto"
    described = space.resolved(Resolution(FLOAT32, *GREY)).describe()
    assert (described["fixed"]["precision"], described["variants"]["baseline"]["precision"]) == ("auto", "float32")


def test_configuration_of_another_study_gets_the_precision_of_this_space():
    space = opened().resolved(Resolution(PrecisionRule("avx512_bf16", 1), *GREY))
    float32 = replace(
        space.variants["baseline"].configuration,
        train=replace(space.variants["baseline"].configuration.train, precision="float32"),
    )
    assert space.in_own_precision(float32).train.precision == "bfloat16"
    assert parse(EXAMPLE).in_own_precision(float32) == float32


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["precision=float32,auto"], 'precision.choices must name precisions, got "auto"'),
        (
            ["precision=auto", 'dropout={low=0.0,high=0.5,when={precision="bfloat16"}}'],
            'dropout.when must not name precision where precision is "auto"',
        ),
        (['dropout={low=0.0,high=0.5,when={precision="auto"}}'], "dropout.when must not name precision"),
    ],
)
def test_auto_where_it_could_never_hold_is_refused(overrides, message):
    with pytest.raises(UsageError, match=message):
        parse(EXAMPLE, *overrides)


def test_space_goes_on_with_the_precision_of_a_study_that_had_no_other():
    space = parse(EXAMPLE, "precision=auto").with_precision(None, {"baseline": "float32"})
    assert "precision" not in space.fixed
    assert space.describe() == parse(EXAMPLE).describe()
    assert not space.leaves_precision_open
