"""Training from CUDA graphs on a real card, beside the same training without them."""

import threading
from dataclasses import replace

import pytest
import torch

from sweeper.config import ConvNetConfig, MlpConfig, TimmConfig
from sweeper.models.families import build
from sweeper.training.cuda_graphs import GraphedEpoch, StepsOnDevice
from sweeper.training.device_data import DeviceImages, TrainingData
from sweeper.training.loop import fit
from sweeper.training.optimizers import build_optimizer, learning_rate, momentum
from sweeper.training.step import Step
from tests.training.test_cuda_graphs import CLASSES, PLAIN, SHAPE, TRAININGS
from tests.training.tiny import tiny_data

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
EPOCHS = 3
CONVNET = ConvNetConfig(filters=(4, 8), kernel_size=3, padding=1, hidden=(16,), aux_heads=("conv1",))
DROPPING = ConvNetConfig(filters=(4, 8), kernel_size=3, padding=1, hidden=(16,), batch_norm=True, dropout=0.3)
NETWORKS = {"convnet": CONVNET, "mlp": MlpConfig(hidden=(16,)), "timm": TimmConfig(model_name="resnet18")}


@pytest.fixture(scope="module", autouse=True)
def reproducible():
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.deterministic = False
    torch.backends.cudnn.allow_tf32 = True


@pytest.fixture(scope="module")
def data():
    on_cpu = tiny_data()
    train, validation = (
        DeviceImages(part.images.cuda(), part.labels.cuda()) for part in (on_cpu.train, on_cpu.validation)
    )
    return TrainingData(train, validation, on_cpu.mean.cuda(), on_cpu.std.cuda(), CLASSES, torch.channels_last)


def train(data, network, config, *, seed=5, epochs=EPOCHS, **options):
    """All metrics but the speed, and the tensors of the network."""
    torch.manual_seed(seed)
    model = build(network, SHAPE, CLASSES).cuda().to(memory_format=torch.channels_last)
    history = [
        replace(metrics, images_per_second=0.0, epoch_seconds=0.0)
        for metrics in fit(model, data, config, epochs=epochs, seed=seed, **options)
    ]
    return history, model.state_dict()


def assert_alike(found, wanted, tolerance):
    for one, other in zip(found[0], wanted[0], strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=tolerance)
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=tolerance)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=10 * tolerance)
        assert one.lr == other.lr


@pytest.mark.parametrize("config", TRAININGS.values(), ids=TRAININGS)
def test_every_training_from_graphs_is_that_without(data, config):
    tolerance = 3e-2 if config.precision == "bfloat16" else 2e-3
    assert_alike(train(data, CONVNET, config, graphs=True), train(data, CONVNET, config), tolerance)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_every_family_from_graphs_is_that_without(data, network):
    config = replace(PLAIN, optimizer="sgd", lr=1e-3)
    assert_alike(train(data, network, config, graphs=True), train(data, network, config), 5e-3)


def test_replayed_dropout_draws_what_it_does_without_graphs(data):
    config = replace(PLAIN, optimizer="sgd")
    assert_alike(train(data, DROPPING, config, graphs=True), train(data, DROPPING, config), 5e-3)
    assert train(data, DROPPING, PLAIN, graphs=True, epochs=12)[0][-1].validation_accuracy > 0.9


def test_every_replay_draws_anew(data):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(64, CLASSES)).cuda()
    seen = []
    model[1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    config = replace(PLAIN, optimizer="sgd", lr=1e-9)
    optimizer = build_optimizer(model, config, capturable=True)
    step = Step(model, data, config, optimizer, torch.Generator(data.device).manual_seed(1))
    own = torch.Generator(data.device).manual_seed(2)
    epoch = GraphedEpoch(step, [16] * 4, own, print)
    order = torch.arange(64, device="cuda") % 16  # the same images in every step
    epoch(order, [(1e-9, None)] * 4)
    captured = seen[-1]
    masks = []
    for _ in range(3):
        epoch._steps.begin(order, [(1e-9, None)] * 4)
        epoch._graphs[16].replay()
        torch.cuda.synchronize()
        masks.append((captured == 0).clone())
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[1], masks[2])


def test_no_step_waits_for_the_device(data):
    config = replace(TRAININGS["augmented"], clip_norm=0.5, label_smoothing=0.1, class_weights="balanced")
    model = build(DROPPING, SHAPE, CLASSES).cuda().to(memory_format=torch.channels_last)
    optimizer = build_optimizer(model, config, capturable=True)
    step = Step(model, data, config, optimizer, torch.Generator(data.device).manual_seed(1))
    steps = StepsOnDevice(step, [16, 16, 8], data.device)
    order = torch.arange(40, device="cuda")
    rates = [(learning_rate(config, n, 3, 1), momentum(config, n, 3, 1)) for n in range(3)]
    steps.begin(order, rates)
    steps.make(16)
    torch.cuda.set_sync_debug_mode("error")
    try:
        steps.make(16)
        steps.make(8)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("behind", [1, 2])
def test_training_cut_short_goes_on_as_if_it_had_not(data, tmp_path, behind):
    path = tmp_path / "checkpoint"
    whole = train(data, DROPPING, PLAIN, graphs=True)
    torch.manual_seed(5)
    model = build(DROPPING, SHAPE, CLASSES).cuda().to(memory_format=torch.channels_last)
    first = fit(model, data, PLAIN, epochs=EPOCHS, seed=5, graphs=True, checkpoint_path=path)
    for _ in range(behind):
        next(first)
    first.close()
    rest = train(data, DROPPING, PLAIN, graphs=True, checkpoint_path=path)
    assert_alike(rest, whole, 1e-3)


def test_neighbours_do_not_change_a_training(data):
    alone = {seed: train(data, DROPPING, TRAININGS["augmented"], seed=seed, graphs=True) for seed in range(4)}
    together, building, errors = {}, threading.Lock(), []

    def run(seed, stream):
        try:
            torch.cuda.set_stream(stream)
            with building:
                torch.default_generator.manual_seed(seed)
                model = build(DROPPING, SHAPE, CLASSES).cuda().to(memory_format=torch.channels_last)
            config = TRAININGS["augmented"]
            history = list(fit(model, data, config, epochs=EPOCHS, seed=seed, graphs=True))
            together[seed] = history, model.state_dict()
        except Exception as error:
            errors.append(error)

    torch.cuda.synchronize()
    streams = [torch.cuda.Stream() for _ in range(4)]
    threads = [threading.Thread(target=run, args=(seed, streams[seed])) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for seed, one in alone.items():
        assert_alike(together[seed], one, 1e-5)


def test_step_that_cannot_be_captured_is_made_as_it_comes(data):
    class Waits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(64, CLASSES)

        def forward(self, images):
            outputs = self.layer(images.flatten(1))
            return outputs if outputs.sum().item() > -1e30 else -outputs

    def training(**options):
        torch.manual_seed(0)
        model = Waits().cuda()
        return [metrics.train_loss for metrics in fit(model, data, PLAIN, epochs=2, seed=0, **options)]

    told = []
    assert training(graphs=True, tell=told.append) == pytest.approx(training(), rel=1e-3)
    assert len(told) == 1
    assert told[0].startswith("its steps cannot be captured in a CUDA graph and run one by one instead: ")
