"""Against a real MLflow store in SQLite."""

import io
import zipfile
from dataclasses import asdict
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException
from PIL import Image
from scipy.special import softmax
from torch import nn

from sweeper.config import ConvNetConfig
from sweeper.errors import SweeperError
from sweeper.images.preprocessing import Preprocessing
from sweeper.images.resize import fitted
from sweeper.images.scaling import to_bytes
from sweeper.images.value_range import ValueRange
from sweeper.models.families import build
from sweeper.models.predictor import RawPixels
from sweeper.tracking import mlflow_model
from sweeper.tracking.registry import Registry
from tests.tracking import stand_ins

SHAPE, CLASSES, DATA = (1, 8, 8), 4, "ab" * 32
NAMES = ("cat", "日本語", "-dash", "a,b")
FILES = {"config.json": '{"filters": [4, 8]}'}


def pixels(n_images):
    return np.random.default_rng(n_images).integers(0, 256, (n_images, *SHAPE), dtype=np.uint8)


def tiny_network(**fields):
    torch.manual_seed(0)
    config = ConvNetConfig(filters=(4, 8), kernel_size=3, padding=1, hidden=(16,), **fields)
    network = build(config, SHAPE, CLASSES).to(memory_format=torch.channels_last)
    return RawPixels(network, [0.3], [0.3], probabilities=config.softmax_output)


def logits(network, images):
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(images)).numpy()


@pytest.fixture(scope="module")
def registry(store):
    return Registry(store)


@pytest.fixture(scope="module")
def client(store, registry):
    return mlflow.MlflowClient(tracking_uri=store.tracking_uri)


@pytest.fixture(scope="module")
def experiment_id(store, client):
    return client.create_experiment("tiny", artifact_location=(store.artifacts / "tiny").as_uri())


@pytest.fixture
def run_id(client, experiment_id):
    return client.create_run(experiment_id).info.run_id


@pytest.fixture(scope="module")
def registered(registry, store, client, experiment_id):
    """A network in evaluation mode, and the address of its registered model."""
    network = tiny_network(dropout=0.5, batch_norm=True)
    run_id = client.create_run(experiment_id).info.run_id
    version = register(registry, run_id, "fixture", network=network)
    return network.eval(), client.get_model_version("fixture", version)


@pytest.fixture
def unexported(monkeypatch):
    """For tests that look at what is registered, and not into it."""
    monkeypatch.setattr(mlflow_model, "export", stand_ins.export)


def register(registry, run_id, name="model", identity="id", **changes):
    values = {"network": tiny_network(), "example": pixels(2), "files": FILES, "tags": {}, "description": ""}
    values |= {"classes": NAMES, "preprocessing": Preprocessing(), "verdict": ("It wins.", "By much.")}
    return registry.register(name, DATA, run_id, identity, **(values | changes))


def test_what_a_network_prints_while_it_is_exported_does_not_go_to_stdout(registry, run_id, monkeypatch, capsys):
    def export(*arguments):
        print("printed by the network")
        return stand_ins.export(*arguments)

    monkeypatch.setattr(mlflow_model, "export", export)
    register(registry, run_id, "printing")
    assert capsys.readouterr() == ("", "printed by the network\n")


def logged_models(client, experiment_id, run_id):
    return client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")


def artifacts(client, run_id, path=""):
    found = []
    for entry in client.list_artifacts(run_id, path):
        found += artifacts(client, run_id, entry.path) if entry.is_dir else [entry.path]
    return found


@pytest.mark.usefixtures("unexported")
def test_version_has_its_run_its_tags_and_its_description(registry, client, experiment_id, run_id, tmp_path):
    (tmp_path / "refit.safetensors").write_bytes(b"w")
    version = register(
        registry,
        run_id,
        "described",
        files=FILES | {"model.safetensors": tmp_path / "refit.safetensors"},
        tags={"sweeper.study": "s"},
        description="LeNet",
    )
    assert version == "1"
    made = client.get_model_version("described", version)
    assert (made.run_id, made.status) == (run_id, "READY")
    assert made.description.startswith("LeNet\n\nThe class of each column of the logits")
    assert made.description.endswith("\n    0  cat\n    1  日本語\n    2  -dash\n    3  a,b")
    assert made.tags == {
        "sweeper.study": "s",
        "sweeper.identity": "id",
        "sweeper.data_sha256": DATA,
        "sweeper.classes": '["cat", "日本語", "-dash", "a,b"]',
        "sweeper.verdict": "It wins.\nBy much.",
    }
    assert sorted(artifacts(client, run_id)) == ["weights/config.json", "weights/model.safetensors"]
    [model] = logged_models(client, experiment_id, run_id)
    assert (model.status, made.source) == (LoggedModelStatus.READY, model.artifact_location)
    assert [output.model_id for output in client.get_run(run_id).outputs.model_outputs] == [model.model_id]
    assert registry.find_version("described", "id") == "1"
    assert registry.find_version("described", "another") is None
    assert registry.find_version("unknown", "id") is None
    registry.set_verdict("described", version, ["It loses."])
    assert client.get_model_version("described", version).tags["sweeper.verdict"] == "It loses."


@pytest.mark.usefixtures("unexported")
def test_registering_again_gives_the_same_version_and_logs_nothing(registry, client, experiment_id, run_id):
    first = register(registry, run_id, "again")
    assert register(registry, run_id, "again") == first
    assert len(client.search_model_versions("name = 'again'")) == 1
    assert len(logged_models(client, experiment_id, run_id)) == 1


@pytest.mark.usefixtures("unexported")
def test_another_identity_is_the_next_version(registry, client, experiment_id, run_id):
    other_run = client.create_run(experiment_id).info.run_id
    assert register(registry, run_id, "next", "first") == "1"
    assert register(registry, other_run, "next", "second") == "2"
    assert registry.find_version("next", "first") == "1"


STEPS = (
    "log_artifacts",
    "create_logged_model",
    "log_model_artifacts",
    "finalize_logged_model",
    "log_outputs",
    "create_registered_model",
    "create_model_version",
)


@pytest.mark.usefixtures("unexported")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_registration_killed_anywhere_is_finished_by_repeating_it(
    registry, client, experiment_id, run_id, monkeypatch, step, when
):
    name = f"{step} {when}"
    real = getattr(registry._client, step)

    def killed(*arguments, **options):
        if when == "after":
            real(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry._client, step, killed)
        with pytest.raises(KeyboardInterrupt):
            register(registry, run_id, name)
    made = {model.model_id: model.status for model in logged_models(client, experiment_id, run_id)}

    assert register(registry, run_id, name) == "1"
    assert len(client.search_model_versions(f"name = '{name}'")) == 1
    [model] = logged_models(client, experiment_id, run_id)
    assert model.status == LoggedModelStatus.READY
    if LoggedModelStatus.READY in made.values():
        assert model.model_id in made
    assert [output.model_id for output in client.get_run(run_id).outputs.model_outputs] == [model.model_id]
    assert artifacts(client, run_id) == ["weights/config.json"]
    assert client.get_model_version(name, "1").source == model.artifact_location


@pytest.mark.parametrize("n_images", [1, 2, 7])
def test_registered_model_gives_the_logits_of_the_network_for_any_batch(registered, n_images):
    network, version = registered
    served = mlflow.pyfunc.load_model(version.source).predict(pixels(n_images))
    assert served.dtype == np.float32
    np.testing.assert_allclose(served, logits(network, pixels(n_images)), rtol=0, atol=1e-5)


def test_registered_model_makes_pixels_of_what_it_is_given(registered):
    network, version = registered
    model = mlflow.pyfunc.load_model(version.source)
    expected = logits(network, pixels(5))
    for images in (pixels(5)[:, 0], pixels(5).transpose(0, 2, 3, 1), np.repeat(pixels(5), 3, axis=1), pixels(5) * 1.0):
        if images.dtype == np.uint8:
            np.testing.assert_allclose(model.predict(images), expected, rtol=0, atol=1e-5)
        else:
            with pytest.raises(MlflowException, match="pixels must be whole numbers from 0 to 255"):
                model.predict(images)
    np.testing.assert_allclose(model.predict(pixels(5)[0, 0]), expected[:1], rtol=0, atol=1e-5)
    with pytest.raises(MlflowException, match=r"images must be of 1 or 3 channels .* got an array of"):
        model.predict(np.zeros((2, 5, 9, 8), np.uint8))


def test_registered_model_fits_images_of_any_size_as_training_did(registry, client, run_id):
    network, made = tiny_network(), Preprocessing(fit="crop", background="black")
    version = client.get_model_version("fit", register(registry, run_id, "fit", network=network, preprocessing=made))
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    expected = fitted(Image.fromarray(photo), (8, 8), grey=True, fit="crop", background=0)
    served = mlflow.pyfunc.load_model(version.source).predict(photo)
    np.testing.assert_allclose(served, logits(network, expected[None].copy()), rtol=0, atol=1e-5)


def test_registered_model_answers_with_the_names_of_the_classes_if_asked(registered):
    network, version = registered
    model = mlflow.pyfunc.load_model(version.source)
    found = model.predict(pixels(3), params={"probabilities": True})
    shares = softmax(logits(network, pixels(3)).astype(float), axis=1)
    for each, row in zip(found, shares, strict=True):
        assert each["class"] == NAMES[row.argmax()]
        assert each["probabilities"] == pytest.approx(dict(zip(NAMES, row, strict=True)), abs=1e-6)
    with pytest.raises(MlflowException, match="probabilities"):
        model.predict(pixels(3), params={"probabilities": "perhaps"})


def test_registered_model_scales_as_its_training_images_were_scaled(registry, client, run_id):
    value_range, network = ValueRange(0, 4095), tiny_network()
    made = Preprocessing(background="black", value_range=value_range)
    version = client.get_model_version("deep", register(registry, run_id, "deep", network=network, preprocessing=made))
    model = mlflow.pyfunc.load_model(version.source)
    values = np.random.default_rng(0).integers(0, 4096, (5, *SHAPE), dtype=np.uint16)
    expected = logits(network, to_bytes(values, value_range))
    for images in (values, values[:, 0], values.astype(np.float64)):
        np.testing.assert_allclose(model.predict(images), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.predict(pixels(3)), logits(network, pixels(3)), rtol=0, atol=1e-5)


def test_registered_model_scales_bytes_if_training_scaled_bytes(registry, client, run_id):
    form = Preprocessing(value_range=ValueRange(0, 1), scales_bytes=True)
    network, example = tiny_network(), (pixels(2) > 99) * np.uint8(255)
    made = register(registry, run_id, "dim", network=network, example=example, preprocessing=form)
    model = mlflow.pyfunc.load_model(client.get_model_version("dim", made).source)
    values = (pixels(5) > 99).astype(np.uint8)
    expected = logits(network, values * np.uint8(255))
    np.testing.assert_allclose(model.predict(values), expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(model.input_example["images"], example // 255)
    np.testing.assert_allclose(model.predict(model.input_example), logits(network, example), rtol=0, atol=1e-5)


def test_network_with_auxiliary_heads_and_softmax_gives_its_logits(registry, client, run_id):
    network = tiny_network(softmax_output=True, aux_heads=("conv1",), activation="gelu", pooling="avg")
    version = client.get_model_version("heads", register(registry, run_id, "heads", network=network))
    served = mlflow.pyfunc.load_model(version.source).predict(pixels(3))
    np.testing.assert_allclose(served, logits(network, pixels(3)), rtol=0, atol=1e-5)


def test_module_of_a_registered_model_is_in_evaluation_mode_and_takes_eval(registered):
    network, version = registered
    module = mlflow.pyfunc.load_model(version.source).get_raw_model()
    with torch.inference_mode():
        found = module.eval()(torch.from_numpy(pixels(3)))
    np.testing.assert_allclose(found.numpy(), logits(network, pixels(3)), rtol=0, atol=1e-5)


def test_registered_model_says_what_it_takes_and_gives(registered):
    signature = mlflow.pyfunc.load_model(registered[1].source).metadata.signature
    [taken], [given] = signature.inputs.inputs, signature.outputs.inputs
    assert (taken.name, taken.shape) == ("images", (-1,))
    assert (given.type, given.shape) == (np.float32, (-1, CLASSES))
    assert given.name == "logits: 0 cat, 1 日本語, 2 -dash, 3 a,b"


def test_model_file_holds_the_names_of_the_classes_in_the_order_of_the_columns_and_what_images_are(registered):
    metadata = mlflow.pyfunc.load_model(registered[1].source).metadata.metadata
    assert metadata == {
        "classes": list(NAMES),
        "images": {"type": "uint8", "shape": [-1, *SHAPE]},
        "preprocessing": asdict(Preprocessing()),
        "verdict": ["It wins.", "By much."],
    }


def test_registered_model_loads_where_pickles_are_refused(registered, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    assert mlflow.pyfunc.load_model(registered[1].source).predict(pixels(2)).shape == (2, CLASSES)


def test_registered_model_is_served_on_the_cpu_where_there_is_a_gpu(registered, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert mlflow.pyfunc.load_model(registered[1].source).predict(pixels(2)).shape == (2, CLASSES)


def test_model_folder_holds_no_pickled_code_and_no_paths_of_this_machine(registered, tmp_path):
    mlflow.artifacts.download_artifacts(registered[1].source, dst_path=str(tmp_path))
    # Python keeps bytecode where MLflow imported the loader, which was after the network was registered.
    found = {path.name: path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    copies = {f"{module.__name__.rpartition('.')[2]}.py": Path(module.__file__) for module in mlflow_model.LOADER}
    assert {name: found[name].read_bytes() for name in copies} == {
        name: path.read_bytes() for name, path in copies.items()
    }
    assert found.keys() == {
        "MLmodel",
        "conda.yaml",
        "input_example.json",
        "model.pt2",
        "pixels.json",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
        "classes.json",
        *copies,
    }
    names = [line.partition("==")[0] for line in found["requirements.txt"].read_text().splitlines()]
    assert names == ["mlflow", "numpy", "pillow", "torch"]
    assert "+" not in found["requirements.txt"].read_text()
    with zipfile.ZipFile(found["model.pt2"]) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    # torch keeps its example inputs as a pickle of tensors, and MLflow refuses a network without them.
    assert [name for name in records if zipfile.is_zipfile(io.BytesIO(records[name]))] == [
        "model/data/sample_inputs/model.pt"
    ]
    torch.load(io.BytesIO(records["model/data/sample_inputs/model.pt"]), weights_only=True)
    assert not [name for name in records if b".py" in records[name]]


def test_registering_prints_nothing_and_leaves_no_global_store_behind(
    registry, client, run_id, capfd, recwarn, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before, example = mlflow.get_tracking_uri(), pixels(2)
    example.setflags(write=False)  # as mapped images are
    register(registry, run_id, "silent", example=example)
    registry.set_aliases("silent", "1", None)
    assert capfd.readouterr() == ("", "")
    assert [str(warning.message) for warning in recwarn if warning.category is UserWarning] == []
    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None
    assert not list(tmp_path.iterdir())


def test_network_is_left_as_it_was(registry, run_id):
    network = tiny_network().train()
    layout = network.network.features.conv2.weight.stride()
    register(registry, run_id, "untouched", network=network)
    assert network.training
    assert network.network.features.conv2.weight.stride() == layout


class Unsteady(nn.Module):
    """Gives other numbers with every call, as a network does that is not exported truly."""

    def forward(self, images):
        return images.to(torch.float32).flatten(1) + torch.rand(1)


def test_network_that_is_not_the_same_after_export_is_refused_and_leaves_nothing(
    registry, client, experiment_id, run_id
):
    with pytest.raises(SweeperError, match="other predictions after it was exported"):
        register(registry, run_id, "unsteady", network=Unsteady())
    assert logged_models(client, experiment_id, run_id) == []
    assert client.search_registered_models("name = 'unsteady'") == []


@pytest.mark.usefixtures("unexported")
def test_aliases_move_and_a_stale_challenger_goes(registry, client, experiment_id):
    for number in range(3):
        register(registry, client.create_run(experiment_id).info.run_id, "aliased", f"id {number}")

    def aliases():
        found = client.get_registered_model("aliased").aliases
        return {alias: int(version) for alias, version in found.items()}

    registry.set_aliases("aliased", "1", "2")
    registry.set_aliases("aliased", "1", "2")
    assert aliases() == {"champion": 1, "challenger": 2}
    registry.set_aliases("aliased", "3", "1")
    assert aliases() == {"champion": 3, "challenger": 1}
    registry.set_aliases("aliased", "2", None)
    registry.set_aliases("aliased", "2", None)
    assert aliases() == {"champion": 2}


@pytest.mark.usefixtures("unexported")
def test_champion_is_the_old_one_until_the_challenger_is_set(registry, client, experiment_id, monkeypatch):
    for number in range(2):
        register(registry, client.create_run(experiment_id).info.run_id, "ordered", f"id {number}")
    registry.set_aliases("ordered", "1", None)
    seen = []
    real = registry._client.set_registered_model_alias

    def watched(name, alias, version):
        seen.append((alias, int(client.get_registered_model(name).aliases["champion"])))
        real(name, alias, version)

    monkeypatch.setattr(registry._client, "set_registered_model_alias", watched)
    registry.set_aliases("ordered", "2", "1")
    assert seen == [("challenger", 1), ("champion", 1)]


@pytest.mark.usefixtures("unexported")
def test_refusal_of_mlflow_is_one_line_without_a_password(registry, run_id, monkeypatch):
    def refuse(*arguments, **options):
        raise MlflowException("no room at http://me:secret@host\nand more")

    monkeypatch.setattr(registry._client, "create_model_version", refuse)
    with pytest.raises(SweeperError, match=r"MLflow at sqlite:.* cannot be used: no room") as refused:
        register(registry, run_id, "refused")
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_unknown_run_is_an_error(registry):
    with pytest.raises(
        SweeperError, match="the run of a refitted network, 0000, was deleted in MLflow: the same command trains"
    ):
        register(registry, "0000", "nowhere")


def test_registry_of_the_environment_is_not_taken(store, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path}/another.db")
    Registry(store)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("unexported")
def test_run_that_was_deleted_before_its_network_is_registered_is_named_with_what_to_do(registry, client, run_id):
    client.delete_run(run_id)
    with pytest.raises(SweeperError, match=rf"{run_id}, was deleted in MLflow: `.*restore.*{run_id}` restores"):
        register(registry, run_id, "of a deleted run")
    client.restore_run(run_id)
    assert register(registry, run_id, "of a deleted run") == "1"


@pytest.mark.usefixtures("unexported")
def test_version_or_model_that_was_deleted_is_named_with_what_to_do(registry, client, run_id):
    version = register(registry, run_id, "short-lived")
    client.delete_model_version("short-lived", version)
    told = r"the registered model short-lived, or its version 1, was deleted in MLflow, .*--again` registers"
    with pytest.raises(SweeperError, match=told):
        registry.version("short-lived", version)
    with pytest.raises(SweeperError, match=told):
        registry.set_aliases("short-lived", version, None)
    client.delete_registered_model("short-lived")
    with pytest.raises(SweeperError, match=told):
        registry.set_aliases("short-lived", version, None)
    assert register(registry, run_id, "short-lived") == "1"  # the same command makes it anew
