import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from sweeper.analysis import export as module
from sweeper.analysis import images, network, quantized
from sweeper.analysis.export import export
from sweeper.config import TimmConfig
from sweeper.errors import SweeperError, UsageError
from sweeper.model_files import onnx_file, onnx_runtime, program, weights_file
from tests.data.pictures import picture
from tests.docs.schemas import mistakes


def exported(promoted, found, form, output, **options):
    return export(promoted.store, found, form, output, **{"data_access": promoted.data_access, **options})


@pytest.fixture(scope="module")
def written(promoted, refit, tmp_path_factory):
    """The refit as ONNX, with what was found."""
    path = tmp_path_factory.mktemp("written") / "model.onnx"
    return path, exported(promoted, refit, "onnx", path)


def test_file_is_checked_on_validation_images_and_described(promoted, refit, written):
    path, found = written
    assert found.described == "30 validation images"
    assert found.check.batches == (1, 3, 30)
    assert found.n_bytes == path.stat().st_size
    shown = json.loads(json.dumps(found.as_json()))
    assert (shown["schema_version"], shown["format"], shown["int8"]) == (1, "onnx", None)
    assert found.sentences[0].endswith("raw pixels uint8 (batch, 1, 28, 28) in, logits float32 (batch, 10) out.")


def test_metadata_say_where_the_network_comes_from_and_how_good_it_is(promoted, refit, written):
    about = {entry.key: entry.value for entry in onnx.load(written[0]).metadata_props}
    assert json.loads(about["classes"]) == list(promoted.dataset.classes)
    assert (about["study"], json.loads(about["trial"]), about["run_id"]) == ("seen", refit.trial, refit.run_id)
    assert about["verdict"] == promoted.outcome.plain_sentence
    assert json.loads(about["preprocessing"]) == {
        "fit": "pad", "background": "white", "exif": True, "value_range": None, "scales_bytes": False,
    }  # fmt: skip


def test_onnxruntime_runs_the_file_by_the_script_of_the_documentation_without_torch_and_sweeper(
    promoted, refit, written, tmp_path
):
    documentation = Path(__file__).parents[2] / "docs" / "how-to" / "export.md"
    [script] = re.findall(r"classify\.py <<'END'\n(.*?)END\n", documentation.read_text("utf-8"), re.DOTALL)
    blocked = "import sys; sys.modules.update(torch=None, sweeper=None)\n"
    (tmp_path / "classify.py").write_text(blocked + script, encoding="utf-8")
    image = picture(90, (28, 28))
    image.save(tmp_path / "boot.png")
    command = [sys.executable, "-I", "classify.py", str(written[0]), "boot.png"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    logits = module.logits_of(refit.network, np.asarray(image)[None, None], module.CPU)[0].astype(np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum()
    best = np.argsort(-probabilities)[:3]
    assert result.stdout.splitlines() == [
        f"{promoted.dataset.classes[i]}: {100 * probabilities[i]:.1f} %" for i in best
    ]


def test_range_of_values_that_only_the_images_tell_is_told(promoted, refit):
    old = replace(refit, preprocessing_from="study")
    pool = images.pool_of(promoted.store, refit, promoted.data_access, print)
    deep = replace(pool, training_set=replace(pool.training_set, value_range=images.ValueRange(10, 4000)))
    assert module._preprocessing(old, deep)["value_range"] == {"low": 10, "high": 4000}
    assert module._preprocessing(old, None) is None
    assert module._preprocessing(replace(refit, preprocessing_from="nothing"), None) is None


@pytest.mark.parametrize("form", ["pt2", "safetensors"])
def test_other_formats_are_checked_too_and_hold_the_same(promoted, trial, tmp_path, form):
    found = exported(promoted, trial, form, tmp_path / "model")
    assert found.check.n_images == 30
    predict = {
        "pt2": program.predictor,
        "safetensors": lambda path: lambda batch: module.logits_of(weights_file.load(path), batch, module.CPU),
    }[form](tmp_path / "model")
    batch = np.full((5, 1, 28, 28), 77, np.uint8)
    assert np.allclose(predict(batch), module.logits_of(trial.network, batch, module.CPU), atol=1e-5)


def test_folder_of_pretrained_weights_is_not_told(trial):
    model = TimmConfig(pretrained=True, pretrained_file="/home/somebody/weights.safetensors")
    found = module._configuration(replace(trial, configuration=replace(trial.configuration, model=model)))
    assert found["pretrained_file"] == "weights.safetensors"


def test_verdict_is_not_that_of_a_trial(promoted, trial):
    assert module._verdict(promoted.store, trial) is None


def test_file_that_decides_otherwise_is_not_written_and_an_earlier_one_is_kept(promoted, trial, tmp_path, monkeypatch):
    real = program.predictor
    monkeypatch.setattr(program, "predictor", lambda path: lambda batch: np.roll(real(path)(batch), 1, axis=1))
    path = tmp_path / "model.pt2"
    path.touch()
    with pytest.raises(SweeperError, match=r"decides otherwise than the network .* not written"):
        exported(promoted, trial, "pt2", path)
    assert [(file.name, file.stat().st_size) for file in tmp_path.iterdir()] == [("model.pt2", 0)]


def test_foreign_file_is_refused_before_anything_is_computed(promoted, trial, tmp_path, monkeypatch):
    (tmp_path / "mine").write_bytes(b"my own")
    monkeypatch.setattr(module, "pool_of", lambda *_: pytest.fail("computed"))
    with pytest.raises(SweeperError, match="mine exists and is no pt2 export of sweeper's"):
        exported(promoted, trial, "pt2", tmp_path / "mine")


def test_place_that_is_full_is_one_line(promoted, trial, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights_file, "save", full)
    with pytest.raises(SweeperError, match=r"model cannot be written: No space left on device \(--output\)"):
        exported(promoted, trial, "safetensors", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"study": None, "study_id": None, "trained_on": "unknown"}, "belongs to no study"),
        ({"study_id": "f" * 32}, "is of another study than the seen in this store"),
    ],
)
def test_without_its_images_a_network_is_checked_on_random_ones_and_that_is_told(
    promoted, trial, tmp_path, changed, reason
):
    notes = []
    alone = replace(trial, **changed)
    found = exported(promoted, alone, "safetensors", tmp_path / "model", notify=notes.append)
    assert found.described == "200 random images"
    assert notes[0].startswith("The file is checked on random images, because ")
    assert reason in notes[0]
    with pytest.raises(SweeperError, match=reason):
        exported(promoted, alone, "onnx", tmp_path / "int8", int8=True)


@pytest.mark.parametrize(
    ("form", "int8", "message"),
    [
        ("tflite", False, r"a format must be onnx, pt2, safetensors, got 'tflite' \(--format\)"),
        ("pt2", True, "--int8 quantises ONNX files: leave it out with --format pt2"),
    ],
)
def test_formats_that_there_are_not_are_wrong_usage(promoted, trial, tmp_path, form, int8, message):
    with pytest.raises(UsageError, match=message):
        exported(promoted, trial, form, tmp_path / "model", int8=int8)


@pytest.fixture
def stand_ins(monkeypatch, written):
    """Networks are not exported anew; a quantised model is the same with its decisions of the first image changed."""
    model = onnx.load(written[0])
    asked = []

    def predictor(model, **_):
        def predict(batch):
            found = onnx_predictor(batch)
            return np.roll(found, 1, axis=1) if model == b"quantised" else found

        return predict

    class Quantised:
        def SerializeToString(self):
            return b"quantised"

    def quantised(model, calibration, about):
        asked.append(len(calibration))
        return Quantised()

    onnx_predictor = onnx_runtime.predictor(model.SerializeToString())
    monkeypatch.setattr(onnx_file, "onnx_of", lambda *_: model)
    monkeypatch.setattr(quantized, "onnx_of", lambda *_: model)
    monkeypatch.setattr(quantized, "program_of", lambda *_: None)
    monkeypatch.setattr(program, "program_of", lambda *_: None)
    monkeypatch.setattr(quantized, "quantized", quantised)
    monkeypatch.setattr(quantized, "described", lambda model, about: asked.append(about["int8"]) or model)
    monkeypatch.setattr(onnx_runtime, "predictor", predictor)
    monkeypatch.setattr(onnx_runtime, "milliseconds", lambda content, image: 0.5)
    return asked


def quantization_of(promoted, found, tmp_path):
    whole = exported(promoted, found, "onnx", tmp_path / "model", int8=True)
    assert not mistakes("export", json.loads(json.dumps(whole.as_json())))
    return whole.int8


def test_trial_is_measured_itself_on_the_confirm_part(promoted, refit, trial, tmp_path, stand_ins):
    # The stand-in's float model is the refit's, so that the trial's check must know the refit's logits.
    found = quantization_of(promoted, replace(trial, network=refit.network), tmp_path)
    assert (found.part, found.n_images, found.is_exported, found.has_learned) == ("confirm", 60, True, False)
    assert found.n_calibrated == stand_ins[0] == 210
    assert found.n_same == 0
    assert found.difference == pytest.approx(found.after.accuracy - found.before.accuracy)
    assert found.difference_low <= found.difference <= found.difference_high
    assert not [said for said in found.sentences if "learned" in said]
    assert stand_ins[-1] == found.summary()


def test_refit_has_learned_from_the_confirm_part_so_a_fresh_seed_is_measured(promoted, refit, tmp_path, stand_ins):
    found = quantization_of(promoted, refit, tmp_path)
    assert (found.part, found.is_exported, found.has_learned) == ("confirm", False, False)
    fresh = images.fresh_runs(promoted.store, promoted.study, refit)[-1]
    assert found.network == network.find(promoted.store, fresh, "MODEL").name
    assert "has not learned from these images; the exported network has" in " ".join(found.sentences)


def test_refit_without_fresh_weights_is_measured_with_a_warning(promoted, refit, tmp_path, stand_ins, monkeypatch):
    monkeypatch.setattr(quantized, "fresh_runs", lambda *_: [])
    found = quantization_of(promoted, refit, tmp_path)
    assert (found.network, found.has_learned) == (refit.name, True)
    assert "both accuracies are too high" in " ".join(found.sentences)


def test_before_a_promotion_the_confirm_part_is_not_looked_at(promoted, refit, trial, tmp_path, stand_ins, monkeypatch):
    monkeypatch.setattr(quantized.recorded, "find", lambda store, study: None)
    found = quantization_of(promoted, replace(trial, network=refit.network), tmp_path)
    assert found.part == "validation"


@pytest.mark.slow
def test_quantised_file_is_smaller_and_decides_nearly_the_same(promoted, refit, written, tmp_path):
    found = exported(promoted, refit, "onnx", tmp_path / "small.onnx", int8=True)
    assert found.int8.n_same >= 55
    assert json.loads({e.key: e.value for e in onnx.load(tmp_path / "small.onnx").metadata_props}["int8"])["part"]
