import pytest

from sweeper.errors import UsageError
from sweeper.models.limits import NetworkLimits
from sweeper.spaces import feasible_points
from sweeper.spaces.feasible_points import check_feasible
from tests.spaces.test_reader import EXAMPLE, minimal, parse

SHAPE = 1, 28, 28
# One filter more or less makes another network: too many to list. The smallest is rarely drawn.
HUGE = """
filters = { choices = [[1, 1, 1], [6, 16, 120]] }
hidden = { choices = [[1], [84]] }
dropout_conv = { type = "float", low = 0.0, high = 0.5, step = 0.00001 }
"""


def check(space, most, shape=SHAPE, *, variants_only=False, madds=None):
    return check_feasible(space, shape, 10, NetworkLimits(most, madds), variants_only=variants_only)


def require(space, *arguments, **options):
    assert check(space, *arguments, **options) == ""


def test_space_with_one_feasible_network_is_searched():
    smallest = parse(minimal("filters = { choices = [[1, 1, 1], [6, 16, 120]] }"))
    require(smallest, None)
    require(smallest, 61_706)
    require(smallest, 1_102)


def test_limit_that_no_network_keeps_is_refused_with_the_smallest_of_all():
    with pytest.raises(UsageError) as refused:
        require(parse(EXAMPLE), 10)
    assert str(refused.value) == (
        "no network of space mine is feasible: the smallest has 61,706 parameters (--max-params 10)"
    )
    require(parse(EXAMPLE), 61_706)
    with pytest.raises(UsageError, match="the smallest has 61,706 parameters"):
        require(parse(EXAMPLE), 61_705)


def test_both_limits_that_arithmetic_can_tell_are_checked():
    space = parse(EXAMPLE)
    with pytest.raises(UsageError, match=r"the fewest multiply-adds are [\d,]+ \(--max-madds 10\)$"):
        check(space, None, madds=10)
    with pytest.raises(UsageError, match=r"the smallest has 61,706 parameters; the fewest .* \(--max-params 9 --max-m"):
        check(space, 9, madds=10)


def test_rare_network_is_found_by_listing_them_all(monkeypatch):
    monkeypatch.setattr(feasible_points, "N_DRAWS", 0)
    require(parse(minimal("filters = { choices = [[1, 1, 1], [6, 16, 120]] }")), 1_102)


def test_space_that_is_too_large_to_list_is_not_refused_and_a_warning_says_what_was_tried():
    space = parse(minimal(HUGE))
    require(space, 1_000)
    warning = check(space, 10)
    assert warning.startswith(
        "Warning: no variant and none of 300 drawn configurations fits --max-params 10: the smallest has "
    )
    assert warning.endswith("; the space has too many networks to try them all, so the search may find none")
    warning = check(space, None, (1, 2, 2))
    assert "none of 300 drawn configurations can take the images: conv" in warning
    with pytest.raises(UsageError, match="no variant of space mine is feasible"):
        check(space, 10, variants_only=True)


def test_feasible_network_that_no_draw_finds_is_not_refused(monkeypatch):
    monkeypatch.setattr(feasible_points, "N_DRAWS", 1)
    monkeypatch.setattr(feasible_points, "MOST_NETWORKS", 0)
    warning = check(parse(minimal("filters = { choices = [[1, 1, 1], [6, 16, 120], [7, 16, 120]] }")), 1_102)
    assert "none of 1 drawn configurations fits --max-params 1102" in warning


def test_images_that_no_network_can_take_are_refused_with_a_reason():
    with pytest.raises(UsageError, match=r"^no network of space mine is feasible: conv2: kernel_size 5 is larger than"):
        require(parse(EXAMPLE), None, (1, 2, 2))


def test_only_the_variants_count_where_only_they_are_trained():
    space = parse(EXAMPLE)
    require(space, 61_706, variants_only=True)
    with pytest.raises(UsageError, match="no variant of space mine is feasible: the smallest has 61,706 parameters"):
        require(space, 50_000, variants_only=True)


def test_variant_outside_the_space_can_be_the_only_feasible_one():
    require(parse(EXAMPLE + "\n[variants.small]\nfilters = [1, 1, 1]\nhidden = []\n"), 1_000)


def test_condition_on_a_parameter_of_the_training_is_kept():
    text = EXAMPLE.replace("hidden = [84]", "hidden = { choices = [[84], [1]], when = { optimizer = 'sgd' } }")
    with pytest.raises(UsageError, match="the smallest has"):
        require(parse(text), 10)
    require(parse(text), 40_000)
