import pytest

from sweeper.data import catalog
from sweeper.errors import UsageError


def test_every_data_set_has_the_listed_shape_and_number_of_classes():
    for name, dataset in catalog.DATASETS.items():
        assert dataset.name == name
        assert (dataset.input_shape, len(dataset.classes)) == catalog.INPUT_SHAPES[name]


def test_file_sizes_follow_from_counts_and_shape():
    sizes = [file.size for file in catalog.get("fashion_mnist").files]
    assert sizes == [16 + 60_000 * 28 * 28, 8 + 60_000, 16 + 10_000 * 28 * 28, 8 + 10_000]


def test_every_file_has_its_own_sha256():
    hashes = {file.sha256 for file in catalog.get("fashion_mnist").files}
    assert len(hashes) == 4
    assert all(len(bytes.fromhex(digest)) == 32 for digest in hashes)


def test_class_names_are_torchvisions():
    from torchvision.datasets import FashionMNIST

    assert list(catalog.get("fashion_mnist").classes) == FashionMNIST.classes


@pytest.mark.parametrize("name", ["fashon_mnist", "fashion-mnist", "FashionMNIST", "fashion"])
def test_unknown_name_is_answered_with_a_close_match(name):
    with pytest.raises(UsageError, match=rf"{name}.*did you mean fashion_mnist\?"):
        catalog.get(name)


def test_unknown_name_without_a_match_is_answered_with_the_known_names():
    with pytest.raises(UsageError) as caught:
        catalog.get("imagenet")
    assert "'imagenet'" in str(caught.value)
    assert "Known: fashion_mnist" in str(caught.value)
    assert "did you mean" not in str(caught.value)
