"""A search, a promotion and a prediction, in the test's own process; then interruptions."""

import asyncio
import csv
import io
import json
import os
import signal
import threading

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from torch import nn

import sweeper
from sweeper.cli import main
from sweeper.process.signals import SIGNALS
from tests import databases
from tests.engine.inline import InlinePool
from tests.fake_data import fake_images
from tests.kept_stores import kept
from tests.tracking import stand_ins

SPACE = {
    "space": {"title": "tiny"},
    "protocol": {"epochs": 2, "confirm": 0.2},
    "model": {
        "filters": {"choices": [[2, 4, 8], [3, 4, 8]]},
        "kernel_size": 5,
        "padding": [2, 0, 0],
        "hidden": [8],
        "activation": {"choices": ["relu", "tanh"]},
    },
    "train": {"lr": {"type": "float", "low": 1e-5, "high": 2e-2, "log": True}, "batch_size": 32},
    "variants": {"baseline": {"filters": [2, 4, 8], "lr": 1e-3}},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the data set tiny.npz; the workers are in this process, and nothing is drawn or exported."""
    folder = tmp_path_factory.mktemp("api")
    images, labels = fake_images(360, 3, 28, seed=0)
    np.savez(
        folder / "tiny.npz",
        train_images=images[:300], train_labels=labels[:300], test_images=images[300:], test_labels=labels[300:],
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
        stand_ins.use(patch)
        databases.make_empty(folder / "store")
        with kept(folder):
            yield folder


def search(place, **more):
    given = {"trials": 3, "pruner": "none", "jobs": 1, "space": SPACE, "progress": False, **more}
    return sweeper.search(place / "tiny.npz", store=place / "store", **given)


@pytest.fixture(scope="module")
def study(place):
    return search(place, study="finished")


@pytest.fixture(scope="module")
def promoted(study):
    return sweeper.promote(study, top=1, seeds=1, test=True, progress=False, jobs=1)


def test_trials_are_the_columns_of_the_command(study, place):
    done = CliRunner().invoke(main, ["trials", "finished", "--csv", "-", "--store", str(place / "store")])
    head, *rows = csv.reader(io.StringIO(done.stdout))
    assert list(study.trials.columns) == head
    assert list(study.trials["number"]) == [0, 1, 2]
    assert [float(row[head.index("value")]) for row in rows] == list(study.trials["value"])
    assert study.trials["params.filters"][0] == (2, 4, 8)


def test_best_is_the_best_and_the_study_says_so(study):
    assert study.best.value == study.trials["value"].max()
    assert set(study.best.params) == {"filters", "activation", "lr"}
    assert (study.stopped, study.metric) == ("", "accuracy")
    assert repr(study).startswith("<Study finished: 3 complete; best accuracy ")
    assert "<table" in study._repr_html_()
    assert "finished" in study._repr_html_()


def test_the_same_call_trains_no_more_and_the_study_is_found_again(study, place):
    again = search(place, study="finished")
    assert again.trials.equals(study.trials)
    assert sweeper.load_study(store=place / "store").name == "finished"
    assert sweeper.load_study("finished", store=place / "store").trials.equals(study.trials)


def test_unknown_study_and_model_are_usage_errors(study, place):
    with pytest.raises(sweeper.UsageError, match="no study 'finish' in this store; it has finished"):
        sweeper.load_study("finish", store=place / "store")
    with pytest.raises(sweeper.UsageError, match="finish"):
        sweeper.promote("finish", store=place / "store", progress=False)
    with pytest.raises(sweeper.UsageError, match="none"):
        sweeper.load_model("none@champion", store=place / "store")


def test_promotion_has_champion_verdict_and_estimates(promoted, study):
    assert promoted.champion.trial in list(study.trials["number"])
    assert promoted.champion.test is not None
    assert promoted.verdict[0] == promoted.summary()["plain_sentence"]
    assert promoted.estimates["name"][0].startswith("champion")
    assert list(promoted.estimates["trial"]) == [entrant["trial"] for entrant in promoted.summary()["finalists"]]
    assert promoted.estimates["test"].notna().any()
    assert promoted.model == "sweeper-finished@champion"
    assert "<Promotion of finished: " in repr(promoted)


def test_promoted_study_is_not_promoted_again(promoted, study):
    assert sweeper.promote(study, top=1, seeds=1, progress=False).estimates.equals(promoted.estimates)


def test_model_predicts_arrays_and_files_alike(promoted, place):
    model = sweeper.load_model(promoted.model, store=place / "store")
    assert isinstance(model.module, nn.Module)
    assert not model.module.training
    assert (model.classes, model.input_shape) == (("0", "1", "2"), (1, 28, 28))
    images, _ = fake_images(6, 3, 28, seed=1)
    paths = [place / f"{number}.png" for number in range(6)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    by_array, by_file = model.predict(images), model.predict(paths, top=1)
    assert [one.classes[:1] for one in by_array] == [one.classes for one in by_file]
    assert [one.file for one in by_file] == list(map(str, paths))
    assert model.predict(str(paths[0]))[0].probabilities == pytest.approx(by_array[0].probabilities)
    assert model.probabilities(images).sum(1) == pytest.approx(1.0)
    by_image = model.predict([Image.fromarray(image) for image in images])
    assert [one.classes for one in by_image] == [one.classes for one in by_array]
    colours = Image.fromarray(images[0]).convert("RGB").quantize(16)
    [by_palette], [by_colour] = model.predict(colours), model.predict(colours.convert("RGB"))
    assert by_palette == by_colour
    assert (by_array[0].changed, by_colour.changed) == ("", "colour to grey")


def test_image_of_pillow_is_turned_upright_and_put_on_the_background_as_its_file_is(promoted, place):
    model = sweeper.load_model(promoted.model, store=place / "store")
    colours = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    on_its_side, exif = Image.fromarray(colours), Image.Exif()
    exif[0x0112] = 6
    on_its_side.save(place / "turned.png", exif=exif)
    Image.fromarray(colours).save(place / "transparent.png", transparency=tuple(map(int, colours[0, 0])))
    for name in ("turned.png", "transparent.png"):
        [by_file], [by_image] = model.predict(place / name), model.predict(Image.open(place / name))
        assert by_image.classes == by_file.classes, name
        assert by_image.probabilities == pytest.approx(by_file.probabilities, abs=1e-6), name


def test_file_that_is_no_image_is_an_error_unless_it_is_left_out(promoted, place):
    model = sweeper.load_model(promoted.model, store=place / "store")
    (place / "broken.png").write_bytes(b"no image")
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(place / "whole.png")
    both = [place / "broken.png", place / "whole.png"]
    with pytest.raises(sweeper.SweeperError, match=r"broken.png cannot be predicted: .*; skip_bad=True leaves"):
        model.predict(both)
    [left] = model.predict(both, skip_bad=True)
    assert left.file == str(place / "whole.png")
    with pytest.raises(sweeper.UsageError, match="top must be an integer of at least 1, got 0"):
        model.predict(both, top=0)


def test_file_with_more_pixels_is_read_if_it_is_allowed(promoted, place):
    model = sweeper.load_model(promoted.model, store=place / "store")
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(place / "large.png")
    with pytest.raises(sweeper.SweeperError, match=r"large.png cannot be predicted: .* pixels"):
        model.predict(place / "large.png", max_pixels=100)
    assert len(model.predict(place / "large.png", max_pixels="1.6K")) == 1
    with pytest.raises(sweeper.UsageError, match="max_pixels must be a positive number such as 108M, got 'many'"):
        model.predict(place / "large.png", max_pixels="many")


def test_report_is_written_where_it_is_asked_for(study, place, monkeypatch):
    path = study.report(place / "report.json", format="json", progress=False)
    assert json.loads(path.read_text())["study"]["name"] == "finished"
    with pytest.raises(sweeper.UsageError, match="format must be one of html, md, json, got 'pdf'"):
        study.report(format="pdf")


def interrupt_in_epoch(monkeypatch, number):
    """Sends this process SIGINT in the epoch of a trial, once."""
    sent = []
    train = InlinePool.train

    def interrupted(pool, index, job):
        if job.number == number and not sent:
            sent.append(number)
            os.kill(os.getpid(), signal.SIGINT)
        train(pool, index, job)

    monkeypatch.setattr(InlinePool, "train", interrupted)


def test_interrupted_search_is_saved_and_the_same_call_goes_on(place, monkeypatch):
    whole = search(place, study="whole", seed=5)
    before = [signal.getsignal(number) for number in SIGNALS]
    interrupt_in_epoch(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt, match="study cut is saved; the same call goes on from here"):
        search(place, study="cut", seed=5)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    cut = sweeper.load_study("cut", store=place / "store")
    assert list(cut.trials["state"]) == ["complete", "running"]
    assert search(place, study="cut", seed=5).trials["value"].equals(whole.trials["value"])


def test_interruption_before_the_first_training_is_a_keyboard_interrupt_too(place, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("sweeper.sweep.run.prepare", lambda *given: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match="the search is saved; the same call goes on from here"):
        search(place, study="early")
    assert signal.getsignal(signal.SIGINT) == before


def test_search_runs_in_a_thread_and_beside_a_running_event_loop(place):
    before, found = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=lambda: found.append(search(place, study="thread", trials=1)))
    thread.start()
    thread.join()

    async def cell():
        return search(place, study="loop", trials=1)

    assert len(found[0].trials) == len(asyncio.run(cell()).trials) == 1
    assert signal.getsignal(signal.SIGINT) == before


def test_target_stops_the_search_and_is_said(place):
    stopped = search(place, study="target", target=0.0)
    assert (stopped.stopped, len(stopped.trials)) == ("target", 1)
    assert repr(stopped).endswith("; stopped by target>")


def test_nothing_is_printed_without_progress(place, capfd):
    search(place, study="quiet", trials=1)
    assert capfd.readouterr() == ("", "")


def test_plain_lines_tell_a_script_of_the_progress(place, capfd):
    search(place, study="told", trials=1, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "told: 0 of 1 trial done" in err
    assert "[1/1] trial 0 (baseline) complete" in err


def test_fault_of_the_surroundings_is_a_sweeper_error_without_secrets(place, monkeypatch):
    def full(*given):
        raise OSError(28, "No space left on device", str(place / "file"))

    monkeypatch.setattr("sweeper.sweep.run.prepare", full)
    with pytest.raises(sweeper.SweeperError, match="No space left on device"):
        search(place, study="full")
    with pytest.raises(sweeper.SweeperError) as refused:
        sweeper.load_study(store=place / "store", storage="postgresql://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(refused.value)
