"""A registered network behind MLflow's own server, as its users put it there."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from scipy.special import softmax

from sweeper.config import ConvNetConfig
from sweeper.images.preprocessing import Preprocessing
from sweeper.models.families import build
from sweeper.models.predictor import RawPixels, logits_of
from sweeper.store.options import StoreOptions
from sweeper.tracking.registry import Registry
from tests.commands.processes import DEADLINE

# What is asked for here must not go out, and the server must not look elsewhere.
FOREIGN = ("http_proxy", "https_proxy", "all_proxy", "mlflow_registry_uri")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer(request):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=DEADLINE) as response:
        return response.read()


def predictions(address, **body):
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return json.loads(answer(request))["predictions"]


def wait_until_ready(address, process, log):
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            answer(f"{address}/ping")
            return
        except OSError:
            output = log.read_text(encoding="utf-8", errors="replace")
            assert process.poll() is None, f"the server ended:\n{output}"
            assert time.monotonic() < deadline, f"the server did not start in {DEADLINE} seconds:\n{output}"
            time.sleep(0.5)


def end(process):
    """Ends the process group that the process leads."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


@pytest.mark.slow
def test_champion_answers_images_with_the_logits_of_the_network_or_with_the_names_of_its_classes(tmp_path):
    store = StoreOptions(tmp_path / "store").resolve({})
    store.prepare()
    registry = Registry(store)
    client = mlflow.MlflowClient(tracking_uri=store.tracking_uri)
    experiment_id = client.create_experiment("tiny", artifact_location=(store.artifacts / "tiny").as_uri())
    torch.manual_seed(0)
    shape, n_classes = (3, 8, 8), 4
    network = RawPixels(
        build(ConvNetConfig(filters=(4,), kernel_size=3, pool_after=(1,), dropout=0.5), shape, n_classes),
        [0.3, 0.4, 0.5],
        [0.2, 0.3, 0.4],
    )
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    run_id, made = client.create_run(experiment_id).info.run_id, Preprocessing()
    version = registry.register("tiny", "0" * 64, run_id, "id", network, images[:2], {}, {}, "", "abcd", made)
    registry.set_aliases("tiny", version, None)

    port, log = free_port(), tmp_path / "serve.log"
    environment = {name: value for name, value in os.environ.items() if name.lower() not in FOREIGN}
    environment["MLFLOW_TRACKING_URI"] = store.tracking_uri
    # MLflow starts `uvicorn` by its bare name.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    command = ["models", "serve", "-m", "models:/tiny@champion", "--env-manager", "local"]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            env=environment,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_ready(address, process, log)
        served = np.array(predictions(address, inputs=images.tolist()))
        with_opacity = np.concatenate([images, np.full((3, 1, 8, 8), 255)], axis=1).transpose(0, 2, 3, 1)
        again = predictions(address, instances=with_opacity.tolist())
        np.testing.assert_allclose(again, served, rtol=0, atol=1e-6)
        asked = {"probabilities": True}
        named = predictions(address, inputs=images.tolist(), params=asked)
        shares = softmax(served, axis=1)
        for each, row in zip(named, shares, strict=True):
            assert (each["class"], each["changed"]) == ("abcd"[row.argmax()], "")
            assert each["probabilities"] == pytest.approx(dict(zip("abcd", row, strict=True)), abs=1e-6)
        photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        [fitted] = predictions(address, inputs=photo.tolist(), params=asked)
        assert fitted["changed"] == "48x64 to 8x8, padded with white"
        with pytest.raises(urllib.error.HTTPError) as refused:
            predictions(address, inputs=images.reshape(3, -1).tolist())
        assert "may hold an image in each row: reshape it to (n, 3, 8, 8)" in refused.value.read().decode()
        assert refused.value.code == 400
    finally:
        end(process)
    np.testing.assert_allclose(served, logits_of(network, images, torch.device("cpu")), rtol=0, atol=1e-4)
    assert "mismatch" not in log.read_text(encoding="utf-8", errors="replace")
