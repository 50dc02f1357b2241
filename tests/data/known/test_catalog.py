import hashlib

import pytest

from sweeper.data.known import catalog
from sweeper.errors import UsageError


def test_every_data_set_has_as_many_classes_as_were_published():
    assert {name: n_classes for name, (_, n_classes) in catalog.INPUT_SHAPES.items()} == {
        "fashion_mnist": 10, "mnist": 10, "kmnist": 10, "cifar10": 10, "cifar100": 100, "cifar100_coarse": 20,
        "svhn": 10, "stl10": 10,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["fashion_mnist", "mnist"])
def test_file_sizes_follow_from_counts_and_shape(name):
    sizes = [file.size for file in catalog.get(name).files]
    assert sizes == [16 + 60_000 * 28 * 28, 8 + 60_000, 16 + 10_000 * 28 * 28, 8 + 10_000]


def test_sizes_of_stl10_follow_from_counts_and_shape():
    sizes = [file.size for file in catalog.STL10.files]
    assert sizes == [5_000 * 3 * 96 * 96, 5_000, 8_000 * 3 * 96 * 96, 8_000]


def test_sizes_of_cifars_batches_leave_room_for_labels_and_names_only():
    for file, n_images in zip(
        catalog.CIFAR10.files + catalog.CIFAR100.files, [10_000] * 6 + [50_000, 10_000], strict=True
    ):
        assert 3072 + 20 < file.size / n_images < 3072 + 40


def test_every_file_has_its_own_digest():
    files = {file for dataset in catalog.DATASETS.values() for file in (*dataset.files, dataset.archive) if file}
    digests = {file.digest: file for file in files}
    assert len(digests) == len(files) - 2  # CIFAR-100's files occur twice, with fine and with coarse labels
    for file in files:
        assert len(bytes.fromhex(file.digest)) == hashlib.new(file.algorithm).digest_size
        assert file.digest == file.digest.lower()


def test_files_and_folders_are_torchvisions():
    from torchvision import datasets

    for dataset in catalog.DATASETS.values():
        known = getattr(datasets, dataset.torchvision)
        names = [file.name for file in dataset.files]
        match dataset.format:
            case "idx":
                packed = [name if name.endswith(".gz") else f"{name}.gz" for name in names]
                assert [name for name, _ in known.resources] == packed
                assert dataset.folder == f"{dataset.torchvision}/raw"
            case "svhn":
                assert [known.split_list[part][1] for part in ("train", "test")] == names
            case _:
                listed = [name for name, _ in known.train_list + known.test_list if "unlabeled" not in name]
                assert (dataset.folder, dataset.archive.name) == (known.base_folder, known.filename)
                assert listed == names


def test_md5_of_stl10_are_torchvisions():
    from torchvision.datasets import STL10

    known = dict(STL10.train_list + STL10.test_list)
    for file in catalog.STL10.files:
        assert (file.algorithm, file.digest) == ("md5", known[file.name])


@pytest.mark.parametrize("name", ["fashion_mnist", "kmnist"])
def test_class_names_are_torchvisions(name):
    from torchvision import datasets

    dataset = catalog.get(name)
    assert list(dataset.classes) == getattr(datasets, dataset.torchvision).classes


def test_class_names_differ_and_are_alphabetical_where_they_were_published_so():
    for dataset in catalog.DATASETS.values():
        assert len(set(dataset.classes)) == len(dataset.classes)
    for dataset in (catalog.CIFAR10, catalog.CIFAR100, catalog.CIFAR100_COARSE, catalog.STL10):
        assert list(dataset.classes) == sorted(dataset.classes)


@pytest.mark.parametrize("name", ["fashon_mnist", "fashion-mnist", "FashionMNIST", "fashion"])
def test_unknown_name_is_answered_with_a_close_match(name):
    with pytest.raises(UsageError, match=rf"{name}.*did you mean fashion_mnist\?"):
        catalog.get(name)


def test_unknown_name_without_a_match_is_answered_with_the_known_names():
    with pytest.raises(UsageError) as caught:
        catalog.get("imagenet")
    assert "'imagenet'" in str(caught.value)
    assert "Known: cifar10, cifar100, " in str(caught.value)
    assert "did you mean" not in str(caught.value)
