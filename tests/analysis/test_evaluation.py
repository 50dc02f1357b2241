import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sweeper.analysis import evaluation, evaluation_data
from sweeper.data.known.catalog import FASHION_MNIST
from sweeper.errors import UsageError
from sweeper.images.class_map import read_map
from sweeper.images.value_range import ValueRange
from sweeper.studies import trial_records
from sweeper.tracking.client import connect
from sweeper.tracking.ledger import Ledger
from tests.fake_data import fake_images


@pytest.fixture
def evaluate(promoted):
    """Evaluates the best trial of the study `seen`, or another network; the --json object, or (code 2) the message."""

    def evaluate(dataset, *arguments, model=None, code=0):
        model = model or f"seen:{trial_records.best(trial_records.records(promoted.study), 'accuracy').number}"
        result = promoted.workplace.run(
            "evaluate", model, dataset, *arguments, *promoted.workplace.places, "--json", "-q", code=code
        )
        return json.loads(result.stdout) if code == 0 else result.stderr.splitlines()[-1]

    return evaluate


@pytest.fixture
def client(promoted):
    return connect(promoted.store)


def write_pngs(folder, images, labels, name="class {}"):
    """A folder for each class."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / name.format(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def other_images():
    """Images that no network here was trained on: (200, 28, 28), and labels."""
    return fake_images(200, 10, 28, seed=7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, other_images):
    """They, in a folder without parts."""
    return write_pngs(tmp_path_factory.mktemp("own") / "shop", *other_images)


def entries(promoted, study):
    return [one for one in Ledger(promoted.store).evaluations() if one.study == study]


def test_look_at_a_known_test_part_is_in_the_ledger_before_anything_is_predicted(
    promoted, folded, evaluate, monkeypatch
):
    number = trial_records.best(trial_records.records(folded), "accuracy").number
    with monkeypatch.context() as patch:

        def killed(*arguments):
            [begun] = entries(promoted, "folded")
            assert not begun.complete
            raise KeyboardInterrupt

        patch.setattr(evaluation, "logits_of", killed)
        evaluate("tiny", model=f"folded:{number}", code=130)
    # The same command goes on with the entry that it has begun.
    monkeypatch.setattr("sys.argv", ["sweeper", "evaluate"])
    found = evaluate("tiny", model=f"folded:{number}", code=2)
    assert "study folded began to be tested on these test data already" in found
    monkeypatch.undo()
    found = evaluate("tiny", model=f"folded:{number}")
    [entry] = entries(promoted, "folded")
    assert entry.complete
    assert entry.run_id == found["run_id"]
    assert (found["part"], found["metrics"]["n"]) == ("test", 50)
    assert (found["look"]["by_study"], found["test_sha256"]) == (1, entry.test_sha256)
    assert "study folded was tested on these test data already" in evaluate("tiny", model=f"folded:{number}", code=2)
    again = evaluate("tiny", "--allow-retest", model=f"folded:{number}")
    assert again["look"]["by_study"] == 2
    assert len(entries(promoted, "folded")) == 2
    assert again["metrics"] == found["metrics"]


def test_look_by_name_counts_as_the_studys_test_and_promotion_says_where_it_is_listed(promoted, evaluate):
    evaluate("tiny")
    refused = promoted.workplace.promote("seen", "--test", "-q", code=2).stderr.splitlines()[-1]
    assert "study seen was tested on these test data already" in refused
    assert "`sweeper ledger" in refused
    shown = json.loads(promoted.workplace.run("promotions", "seen", *promoted.workplace.places[2:], "--json").stdout)
    assert "cannot be read" not in json.dumps(shown)
    assert "of other networks" not in json.dumps(shown)
    listed = json.loads(promoted.workplace.run("ledger", *promoted.workplace.places[2:], "--json").stdout)
    of_seen = [look["networks"] for look in listed["looks"] if look["study"] == "seen"]
    assert of_seen
    assert all(networks.keys() == {"network"} for networks in of_seen)


def test_images_that_the_network_was_trained_on_are_counted_and_the_others_scored_alone(promoted, evaluate):
    found = evaluate("tiny", "--part", "train")
    assert (found["metrics"]["n"], found["look"], found["test_sha256"]) == (300, None, None)
    assert found["n_copies"] == 210  # all but 20 % for confirm and 10 % for validation
    assert found["unseen"]["n"] == 90
    assert found["unseen"]["low"] < found["unseen"]["accuracy"] < found["unseen"]["high"]


def test_of_a_refit_no_training_image_is_new(promoted, evaluate):
    result = promoted.workplace.run(
        "evaluate", f"{promoted.outcome.model_name}@champion", "tiny", "--part", "train", *promoted.workplace.places
    )
    assert "It was trained on all of them: this says nothing about other images." in result.stdout


def test_of_data_without_parts_all_images_are_evaluated_and_none_is_set_aside(evaluate, folder):
    found = evaluate(folder)
    assert (found["part"], found["metrics"]["n"], found["look"]) == ("all", 200, None)
    assert [row["images"] for row in found["classes"]] == [20] * 10
    assert (found["n_copies"], found["unseen"]) == (0, None)


def test_scores_are_those_of_the_predictions_that_are_recorded_with_a_confusion_matrix(
    promoted, evaluate, folder, client
):
    found = evaluate(folder)
    run = client.get_run(found["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["accuracy"] == found["metrics"]["accuracy"]
    model = client.get_run(found["model_run_id"])
    assert run.data.tags["mlflow.parentRunId"] == found["model_run_id"]
    assert run.data.tags["sweeper.root"] == model.data.tags["sweeper.root"]
    assert run.info.experiment_id == model.info.experiment_id
    files = {file.path for file in client.list_artifacts(found["run_id"])}
    assert files == {"confusion", "per_class_accuracy.csv", "predictions.csv", "result.json"}
    assert [file.path for file in client.list_artifacts(found["run_id"], "confusion")] == [
        "confusion/confusion_matrix.png"
    ]
    with open(client.download_artifacts(found["run_id"], "predictions.csv")) as stream:
        rows = [line.rstrip().split(",") for line in stream][1:]
    right = [row[2] == row[3] for row in rows]
    assert np.mean(right) == pytest.approx(found["metrics"]["accuracy"])
    of_class = [row[3] for row in rows if row[2] == "class 4"]
    assert of_class.count("class 4") / 20 == found["classes"][4]["accuracy"]


def test_record_that_cannot_be_written_to_its_end_is_not_left_running(promoted, evaluate, folder, client, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_figure", full)
        assert "No space left on device" in evaluate(folder, code=1)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    query = "tags.`sweeper.kind` = 'evaluation'"
    last = client.search_runs([experiment], query, order_by=["attributes.start_time DESC"], max_results=1)[0]
    assert (last.info.status, last.data.tags["sweeper.state"]) == ("FAILED", "failed")


def test_classes_without_images_are_told_and_those_that_the_network_does_not_know_are_refused(
    evaluate, other_images, tmp_path
):
    images, labels = other_images
    some = labels < 4
    found = evaluate(write_pngs(tmp_path / "few", images[some], labels[some]))
    assert found["missing"] == [f"class {label}" for label in range(4, 10)]
    root = write_pngs(tmp_path / "others", images[some], labels[some], "kind {}")
    refused = evaluate(root, code=2)
    assert "must be those of trial" in refused
    assert "got kind 0, kind 1, kind 2, kind 3" in refused
    assert "--map FILE" in refused
    (tmp_path / "map.toml").write_text('"class 0" = ["kind 0", "kind 3"]\n"class 7" = "kind 2"\n')
    mapped = evaluate(root, "--map", tmp_path / "map.toml")
    counts = {row["class"]: row["images"] for row in mapped["classes"] if row["images"]}
    assert counts == {"class 0": 40, "class 7": 20}


def test_classes_are_matched_by_name_and_not_by_place(evaluate, folder):
    plain = evaluate(folder)
    turned = evaluate(folder, "--classes", ",".join(f"class {label}" for label in range(9, -1, -1)))
    assert turned["metrics"]["accuracy"] == plain["metrics"]["accuracy"]
    assert turned["classes"] == plain["classes"]


def test_other_sizes_and_colours_are_refused_with_the_option_that_helps(evaluate, other_images, tmp_path):
    images, labels = other_images
    root = write_pngs(tmp_path / "colour", np.stack([images[:, :20, :20]] * 3, axis=3), labels)
    assert evaluate(root, code=2).endswith("; --resize 28 makes them so")
    assert evaluate(root, "--resize", 28, code=2).endswith("; --grayscale makes them so")
    assert evaluate(root, "--resize", 28, "--grayscale")["metrics"]["n"] == 200


def test_inverted_images_are_those_of_exchanged_black_and_white(evaluate, folder, other_images, tmp_path):
    images, labels = other_images
    inverted = evaluate(write_pngs(tmp_path / "negative", 255 - images, labels), "--invert")
    assert inverted["metrics"] == evaluate(folder)["metrics"]
    assert inverted["conversions"] == ["black and white were exchanged"]


def test_inverted_copies_of_training_images_are_no_new_images(promoted, evaluate):
    assert evaluate("tiny", "--part", "train", "--invert")["n_copies"] == 210


def test_test_part_of_an_npz_file_is_evaluated_and_the_whole_when_asked(evaluate, other_images, tmp_path):
    images, labels = other_images
    names = np.array([f"class {label}" for label in range(10)])
    arrays = {"train_images": images[:120], "train_labels": labels[:120], "class_names": names}
    np.savez(tmp_path / "own.npz", test_images=images[120:], test_labels=labels[120:], **arrays)
    assert evaluate(tmp_path / "own.npz")["metrics"]["n"] == 80
    assert evaluate(tmp_path / "own.npz", "--part", "all")["metrics"]["n"] == 200


def test_own_images_that_a_search_had_set_aside_are_a_test_part_that_the_ledger_gets(promoted, evaluate, tmp_path):
    folder = write_pngs(tmp_path / "shop", *fake_images(200, 10, 28, seed=8))  # images of no other test
    space = promoted.workplace.folder / "own_space.toml"
    space.write_text(promoted.workplace.space.read_text())
    promoted.workplace.run(
        *("search", folder, "--space", space, "--variants-only", "--study", "shop", "--jobs", 1, "-q"),
        *("--store", promoted.workplace.store),
    )
    found = evaluate(folder, model="shop:0")
    assert found["part"] == "test"
    assert 0 < found["metrics"]["n"] < 60
    assert [entry.run_id for entry in entries(promoted, "shop")] == [found["run_id"]]
    # By another study's network, it is a look at the same test part.
    other = evaluate(folder)
    assert (other["part"], other["look"]["by_study"], other["look"]["in_store"]) == ("test", 1, 2)


def test_network_of_a_training_by_itself_is_not_new_to_its_own_data_and_their_test_part_is_known(
    promoted, evaluate, other_images, tmp_path
):
    images, labels = other_images
    own = tmp_path / "alone.npz"
    arrays = {"train_images": images[:150], "train_labels": labels[:150]}
    np.savez(own, test_images=images[150:], test_labels=labels[150:], **arrays)
    trained = promoted.workplace.run(
        *("train", own, "--space", promoted.workplace.space, "--epochs", 1, "--jobs", 1, "--json", "-q"),
        *("--store", promoted.workplace.store),
    )
    run_id = json.loads(trained.stdout)["run_id"]
    found = evaluate(own, "--part", "train", model=run_id)
    assert (found["n_copies"], found["look"]) == (None, None)
    assert found["why_unknown"].startswith("its training had the same data")
    tested = evaluate(own, model=run_id)
    assert (tested["part"], tested["look"]["by_study"]) == ("test", 1)
    assert not tested["why_unknown"].startswith("its training had the same data")
    assert "was tested on these test data already" in evaluate(own, model=run_id, code=2)


STYLES = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
TYPES = ("Tshirts", "Trousers", "Sweaters", "Formal Shoes", "Watches")


def test_fashion_product_images_are_evaluated_by_their_table_and_a_map(promoted, evaluate, tmp_path):
    """Kaggle's layout: some lines of styles.csv have commas in the last column, and some ids have no image."""
    root = tmp_path / "fashion"
    (root / "images").mkdir(parents=True)
    rows = []
    for number in range(60):
        article, name = TYPES[number % 5], "A, name, with commas" if number in (7, 21) else "A name"
        rows.append(f"{1000 + number},Men,Apparel,Topwear,{article},Navy Blue,Fall,2011,Casual,{name}")
        if number not in (12, 43):
            size = (53, 80) if number % 7 == 0 else (60, 80)
            picture = Image.new("RGB", size, (255, 255, 255))
            picture.paste((number, 20, 200), (15, 10, 45, 70))
            picture.save(root / "images" / f"{1000 + number}.jpg")
    (root / "styles.csv").write_text("\n".join([STYLES, *rows]) + "\n")
    classes = {"class 0": "Tshirts", "class 1": "Trousers", "class 2": "Sweaters", "class 9": "Formal Shoes"}
    (tmp_path / "map.toml").write_text("".join(f'"{new}" = "{old}"\n' for new, old in classes.items()))
    options = ("--labels", "styles.csv", "--map", tmp_path / "map.toml", "--resize", 28, "--grayscale", "--invert")
    refused = evaluate(root, *options, code=1)
    assert "Expected 10 fields in line 9, saw 12" in refused
    assert refused.endswith("--skip-bad leaves out such lines; see docs/how-to/own-images.md")
    told = promoted.workplace.run(
        *("evaluate", f"{promoted.outcome.model_name}@champion", root, *options, "--skip-bad"),
        *promoted.workplace.places,
    ).stderr
    assert "2 without a file (1012, 1043); 2 that cannot be read" in told
    found = evaluate(root, *options, "--skip-bad")
    counts = {row["class"]: row["images"] for row in found["classes"] if row["images"]}
    assert counts == {"class 0": 12, "class 1": 11, "class 2": 10, "class 9": 11}
    assert found["conversions"] == ["padded with white to squares", "black and white were exchanged"]


def test_example_maps_article_types_to_all_classes_of_fashion_mnist():
    found = read_map(Path(__file__).parents[2] / "examples" / "fashion_product.toml")
    assert [new for new, _ in found] == list(FASHION_MNIST.classes)
    assert dict(found)["Ankle boot"] == ("Formal Shoes",)


def test_values_that_were_scaled_otherwise_than_those_of_training_are_refused():
    data = SimpleNamespace(name="deep", value_range=ValueRange(0, 65_535))
    network = SimpleNamespace(name="seen:1")
    evaluation_data.refuse_other_range(data, ValueRange(0, 65_535), network)
    evaluation_data.refuse_other_range(data, None, network)
    with pytest.raises(UsageError, match=r"from 0 to 4,095 .* of deep those from 0 to 65,535: --value-range 0,4095"):
        evaluation_data.refuse_other_range(data, ValueRange(0, 4095), network)


def test_grey_images_become_three_equal_channels_for_a_network_of_colour_images():
    network = SimpleNamespace(name="colours", input_shape=(3, 2, 2))
    grey = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
    found = evaluation_data._fitting(grey, network, SimpleNamespace(dataset="grey"))
    assert np.array_equal(found, np.repeat(grey, 3, axis=1))
