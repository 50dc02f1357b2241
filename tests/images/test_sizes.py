import pytest

from sweeper.images.sizes import described, how_to_resize, suggested_side


def test_few_sizes_are_all_named_with_their_numbers():
    assert described([(32, 32)] * 72 + [(48, 36)]) == "32x32 (72 images), 36x48 (1 image), height x width"


def test_of_many_sizes_the_most_common_and_the_extremes_are_named():
    sizes = [(40, 30)] * 4 + [(47, 35)] * 3 + [(9, 90)] * 2 + [(70, 58), (20, 20)]
    assert described(sizes) == (
        "30x40 (4 images), 35x47 (3 images), 90x9 (2 images) and 2 more, from 20x20 to 58x70, height x width"
    )


def test_order_of_a_size_is_not_named_where_it_does_not_matter():
    assert described([(32, 32), (48, 48), (48, 48)]) == "48x48 (2 images), 32x32 (1 image)"


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(28, 28)] * 6 + [(32, 28)] * 5, 28),
        ([(300, 300)] * 3 + [(32, 28)], 300),
        ([(28, 28)] * 2 + [(40, 30), (41, 30), (42, 30)], 32),
        ([(25 + n, 26 + n) for n in range(8)], 32),
        ([(640, 480), (480, 640), (1024, 768)], 128),
        ([(100, 75), (75, 100)], 64),
        ([(3, 4), (5, 4)], 8),
        ([(640, 20), (20, 640)], 128),
    ],
)
def test_suggested_side_is_that_of_most_images_or_near_their_usual_area(sizes, side):
    assert suggested_side(sizes) == side


def test_each_way_to_resize_is_offered_with_what_it_costs():
    assert how_to_resize([(40, 30), (32, 32), (10, 20)]) == (
        "--resize 32 makes all alike, with --fit pad (the default: all of an image, and up to 50 % --background beside "
        "it), crop (loses up to 50 % of an image) or stretch (distorts)"
    )


def test_square_images_need_no_choice():
    assert how_to_resize([(32, 32), (48, 48)]) == "--resize 32 makes all alike"
