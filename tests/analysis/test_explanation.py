import json
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image

from sweeper.analysis import picture_files
from sweeper.analysis.explanation import ANALYSES, ExplainRequest, explain
from sweeper.analysis.images import fresh_networks, part_of
from sweeper.analysis.network import find
from sweeper.data.source import DataSource
from sweeper.data.test_set import load_test_set
from sweeper.errors import SweeperError, UsageError
from sweeper.images.image_set import PixelFormat
from sweeper.studies import trial_records
from sweeper.tracking.network_files import log_files
from tests.docs.schemas import mistakes
from tests.read_only import read_only


@pytest.fixture(scope="module")
def trial(promoted):
    return f"seen:{trial_records.best(trial_records.records(promoted.study), 'accuracy').number}"


@pytest.fixture(scope="module")
def fresh(promoted):
    """The ids of two networks of the promotion that were trained on the train part."""
    return [one.run_id for one in fresh_networks(promoted.store, promoted.study, promoted.outcome).values()]


def asked(promoted, model, *analyses, notify=lambda note: None, **options):
    request = ExplainRequest(model=model, analyses=analyses, data_access=promoted.data_access, **options)
    return explain(promoted.store, request, notify)


def folder_of(tmp_path, classes, labelled):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    for place, image in enumerate(pixels):
        folder = tmp_path / (classes[place % 2] if labelled else "")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{place}.png")
    return tmp_path


def test_all_analyses_of_two_networks_are_on_the_same_unseen_images(promoted, fresh):
    found = asked(promoted, fresh[0], against=fresh[1])
    assert [view.name for view in found.views] == [
        "curves", "confusions", "classes", "mistakes", "mistakes_against", "probabilities", "probabilities_against",
        "reliability", "features", "embedding",
    ]  # fmt: skip
    assert found.images_used == "60 confirm images, which no choice has used"
    printed = {"schema_version": 1, "model": "a", "run_id": None, "images": found.images_used, "files": []}
    assert not mistakes("explain", printed | {"looks": [view.as_json() for view in found.views]})


def test_warning_about_the_part_is_given_once_for_two_networks(promoted, fresh, monkeypatch):
    monkeypatch.setattr("sweeper.promotion.recorded.find", lambda store, study: None)
    notes = []
    asked(promoted, fresh[0], "confusions", against=fresh[1], part="confirm", notify=notes.append)
    assert len([note for note in notes if "is not promoted yet" in note]) == 1


def test_probabilities_are_of_four_random_images_and_name_the_best_epoch(promoted, trial):
    (view,) = asked(promoted, trial, "probabilities", part="validation").views
    assert len(view.data["images"]) == 4
    assert "best validation accuracy" in view.sentences[0]
    assert "validation images" in view.images_used
    (other,) = asked(promoted, trial, "probabilities", seed=1).views
    (same,) = asked(promoted, trial, "probabilities", seed=1).views
    assert other.data == same.data != view.data


def test_images_that_a_network_has_learned_from_are_said_to_be_so(promoted, trial):
    found = asked(promoted, trial, "confusions", part="train")
    assert found.views[0].images_used.endswith("train images, from which networks have learned")


def test_refit_is_refused_unless_the_train_part_is_named(promoted):
    model = f"{promoted.outcome.model_name}@champion"
    with pytest.raises(SweeperError, match="was refitted on all images of study seen"):
        asked(promoted, model, "confusions")
    assert asked(promoted, model, "confusions", part="train").views


def test_given_images_without_classes_have_what_needs_none(promoted, trial, tmp_path):
    notes = []
    folder = folder_of(tmp_path, promoted.dataset.classes, labelled=False)
    found = asked(promoted, trial, paths=[folder], notify=notes.append)
    assert [view.name for view in found.views] == ["curves", "probabilities", "features", "embedding"]
    assert [note.partition(":")[0] for note in notes if note.startswith("No ")] == [
        "No confusions", "No classes", "No mistakes", "No reliability",
    ]  # fmt: skip
    assert found.images_used.startswith("6 given images, of which trial ")
    assert found.images_used.endswith(" of seen was trained on none (equal pixels)")
    with pytest.raises(SweeperError, match="needs the true classes of the images"):
        asked(promoted, trial, "mistakes", paths=[folder])


def test_given_images_that_the_network_was_trained_on_are_counted(promoted, trial, tmp_path):
    trained = part_of(promoted.store, find(promoted.store, trial, "MODEL"), "train", data_access=promoted.data_access)
    folder = folder_of(tmp_path, (), labelled=False)
    for place in range(2):
        Image.fromarray(trained.images[place, 0]).save(folder / f"trained-{place}.png")
    found = asked(promoted, trial, "probabilities", paths=[folder], n=3)
    assert found.views[0].title.endswith(" (the first 3)")
    assert found.images_used.startswith("8 given images, of which trial ")
    assert found.images_used.endswith(" of seen was trained on 2 (equal pixels)")


def test_analysis_that_is_not_possible_is_left_out_of_all_and_refused_by_name(promoted, trial):
    notes = []
    found = asked(promoted, trial, n=3, notify=notes.append)
    assert found.views[-1].name == "features"
    assert notes[-1].startswith("No embedding: trial ")
    with pytest.raises(SweeperError, match="an embedding needs at least 5 images, got 3"):
        asked(promoted, trial, "embedding", n=3)


def test_given_images_in_folders_of_classes_are_judged(promoted, trial, tmp_path):
    folder = folder_of(tmp_path, promoted.dataset.classes, labelled=True)
    (view,) = asked(promoted, trial, "confusions", paths=[folder]).views
    assert np.sum(view.data["networks"][0]["matrix"]) == 6


def test_given_test_images_are_not_scored_without_a_look_in_the_ledger(promoted, trial, tmp_path):
    source = DataSource(promoted.dataset.name, data_dir=promoted.data_dir, offline=True)
    tested = load_test_set(source, pixel_format=PixelFormat((1, 28, 28)))
    folder = folder_of(tmp_path, promoted.dataset.classes, labelled=True)
    label = promoted.dataset.classes[tested.labels[0]]
    (folder / label).mkdir(exist_ok=True)
    Image.fromarray(tested.images[0, 0]).save(folder / label / "copy.png")
    with pytest.raises(SweeperError, match=r"1 of them is a test image .* `sweeper evaluate` gives them"):
        asked(promoted, trial, "confusions", paths=[folder])
    (view,) = asked(promoted, trial, "probabilities", paths=[folder]).views
    assert not any(image["true"] for image in view.data["images"])


def test_networks_of_different_splits_are_not_compared(promoted, folded, fresh):
    number = trial_records.best(trial_records.records(folded), "accuracy").number
    with pytest.raises(SweeperError, match="were trained on different splits"):
        asked(promoted, f"folded:{number}", "confusions", against=fresh[0])


@pytest.mark.parametrize(("options", "message"), [
    ({"part": "train", "paths": ["x.png"]}, "--images and --part"),
    ({"resize": 28}, "--resize needs --images"),
    ({"against": "same"}, "are the same network"),
])  # fmt: skip
def test_what_does_not_fit_together_is_refused(promoted, trial, options, message):
    options = {name: trial if value == "same" else value for name, value in options.items()}
    with pytest.raises(UsageError, match=message):
        asked(promoted, trial, "confusions", **options)


def test_size_that_the_network_does_not_take_is_refused(promoted, trial, tmp_path):
    folder = folder_of(tmp_path, promoted.dataset.classes, labelled=False)
    with pytest.raises(UsageError, match="--resize must give the 28x28 that trial"):
        asked(promoted, trial, "features", paths=[folder], resize=32)


@pytest.mark.parametrize("form", ["png", "svg"])
def test_pictures_and_numbers_are_written_and_kept_with_the_run(promoted, trial, tmp_path, form):
    found = asked(promoted, trial, "confusions", "features")
    files = picture_files.write(found.views, tmp_path / "deep" / "out", form, {"schema_version": 1})
    assert [file.name for file in files] == [f"confusions.{form}", "explain.json", f"features.{form}"]
    assert sorted(tmp_path.rglob("*.*")) == sorted(files)
    assert [one["name"] for one in json.loads(files[1].read_text())["looks"]] == ["confusions", "features"]
    log_files(promoted.store, found.network.run_id, files, "explain", "MODEL")
    kept = promoted.store.root.rglob(f"{found.network.run_id}/artifacts/explain/*")
    assert {file.name for file in files} <= {file.name for file in kept}


def test_nothing_is_left_where_a_picture_cannot_be_drawn(promoted, trial, tmp_path, monkeypatch):
    found = asked(promoted, trial, "confusions")
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(SweeperError, match=r"out cannot be written to: full \(--output\)"):
        picture_files.write(found.views, tmp_path / "out", "png", {})
    assert list(tmp_path.iterdir()) == []


def test_output_that_is_no_folder_is_one_line(promoted, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SweeperError, match=r"cannot be written to: .* \(--output\)"):
        picture_files.write([], tmp_path / "file" / "out", "png", {})


def test_folder_that_cannot_be_written_to_is_named_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    picture_files.check_place(tmp_path / "deep" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(SweeperError, match=r"out cannot be written to: .* \(--output\)"):
        picture_files.check_place(tmp_path / "file" / "out")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with read_only(shelf):
        for folder in (shelf, shelf / "out"):
            with pytest.raises(SweeperError, match=r"cannot be written to: .* \(--output\)"):
                picture_files.check_place(folder)


def test_folder_of_pictures_may_be_a_file_system_of_its_own(tmp_path, monkeypatch):
    drafts = []

    def draft(**options):
        drafts.append(options["dir"])
        return TemporaryDirectory(**options)

    monkeypatch.setattr(picture_files, "TemporaryDirectory", draft)
    picture_files.write([], tmp_path / "out", "png", {})
    assert drafts == [tmp_path / "out"]
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["explain.json"]


def test_command_and_analysis_name_the_same_analyses():
    from sweeper.cli.explain import ANALYSES as OFFERED

    assert OFFERED == ANALYSES
