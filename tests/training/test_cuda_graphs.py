"""What a graph would hold, made as it comes on a CPU, and with the shapes alone of tensors on a card."""

import gc
import threading
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode
from torch.torch_version import TorchVersion
from torch.utils._python_dispatch import TorchDispatchMode

from sweeper.config import ConvNetConfig, MlpConfig, TrainConfig
from sweeper.models.classifier import tensors_of_classifier
from sweeper.models.families import build
from sweeper.training import averaging, cuda_graphs, process_locks
from sweeper.training.cuda_graphs import GraphedEpoch, StepsOnDevice
from sweeper.training.device_data import DeviceImages, TrainingData
from sweeper.training.freezing import Freezing
from sweeper.training.loop import batch_bounds
from sweeper.training.optimizers import build_optimizer, learning_rate, momentum, set_rates
from sweeper.training.step import Step
from tests.training.tiny import CLASSES, SHAPE, tiny_data

EPOCHS = 4
NETWORK = ConvNetConfig(filters=(4, 8), kernel_size=3, padding=1, hidden=(16,), batch_norm=True, aux_heads=("conv1",))
DROPPING = replace(NETWORK, dropout=0.2, dropout_conv=0.1, aux_heads=())
PLAIN = TrainConfig(lr=1e-2, batch_size=16)
CYCLED = replace(PLAIN, schedule="one_cycle", cycle_momentum=True)
TRAININGS = {
    "adam": PLAIN,
    "adamw": replace(PLAIN, optimizer="adamw", weight_decay=0.1, schedule="cosine"),
    "sgd": replace(PLAIN, optimizer="sgd", momentum=0.9, nesterov=True, weight_decay=0.01, clip_norm=0.5),
    "sgd without momentum": replace(PLAIN, optimizer="sgd", schedule="step", step_size=1),
    "sgd that decays by itself": replace(PLAIN, optimizer="sgd", weight_decay=0.1, decoupled_weight_decay=True),
    "rmsprop": replace(PLAIN, optimizer="rmsprop", lr=1e-3, momentum=0.5),
    "adam, cycled": replace(CYCLED, weight_decay=0.01),
    "adamw, cycled": replace(CYCLED, optimizer="adamw", weight_decay=0.1, weight_decay_layers=("output",)),
    "sgd, cycled": replace(CYCLED, optimizer="sgd", weight_decay=0.01),
    "sgd, cycled, nesterov": replace(CYCLED, optimizer="sgd", nesterov=True),
    "rmsprop, cycled": replace(CYCLED, optimizer="rmsprop", lr=1e-3, schedule="cyclic"),
    "smoothed": replace(PLAIN, label_smoothing=0.1, class_weights="balanced", schedule="exponential"),
    "classifier first": replace(PLAIN, optimizer="sgd", momentum=0.9, freeze_epochs=1),
    "classifier first, cycled": replace(CYCLED, freeze_epochs=1, weight_decay=0.01),
    "bfloat16": replace(PLAIN, optimizer="sgd", precision="bfloat16"),
    "augmented": replace(
        PLAIN, flip_p=0.5, rotation=20, crop_padding=1, translation=0.1, brightness=0.3, contrast=0.3, saturation=0.3,
        sharpness_p=0.5, erasing_p=0.5,
    ),
    "mixed": replace(PLAIN, mixup_alpha=0.2, cutmix_alpha=1.0, mix_p=0.8, class_weights="balanced"),
    "pasted": replace(PLAIN, optimizer="sgd", cutmix_alpha=1.0),
    "averaged": replace(PLAIN, optimizer="sgd", mixup_alpha=1.0, ema_decay=0.9),
}  # fmt: skip
networks = pytest.mark.parametrize("network", [NETWORK, DROPPING, MlpConfig(hidden=(8,), dropout=0.2, batch_norm=True)])
trainings = pytest.mark.parametrize("config", TRAININGS.values(), ids=TRAININGS)


def trained(config, *, on_device):
    """The network and the running figures of two epochs, made from what the device knows or as they come.

    In the first of `freeze_epochs` 1, the classifier trains alone.
    """
    data = tiny_data()
    torch.manual_seed(1)
    model = build(NETWORK, SHAPE, CLASSES).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(2)
    head = tensors_of_classifier(model) if config.freeze_epochs else ()
    freezing = Freezing(model, (), head, config.freeze_epochs)
    step = Step(model, data, config, build_optimizer(model, config, head=head, capturable=on_device), generator)
    bounds = batch_bounds(len(data.train), config.batch_size)
    lengths = [stop - start for start, stop in bounds]
    assert len(set(lengths)) == 2
    steps = StepsOnDevice(step, lengths, data.device)
    figures = []
    for epoch in range(2):
        order = torch.randperm(len(data.train), generator=generator)
        places = range(epoch * len(bounds), (epoch + 1) * len(bounds))
        rates = [tuple(of(config, place, len(bounds), EPOCHS) for of in (learning_rate, momentum)) for place in places]
        step.begin_epoch()
        freezing.begin(epoch + 1)
        freezing.train(epoch + 1)
        if on_device:
            steps.begin(order, rates)
        for (start, stop), step_rates in zip(bounds, rates, strict=True):
            if on_device:
                steps.make(stop - start)
            else:
                set_rates(step.optimizer, *step_rates)
                step(order[start:stop])
        figures.append(step.running(len(bounds)))
    return model, figures


@trainings
def test_steps_that_find_their_images_and_rates_on_the_device_train_as_those_that_are_given_them(config):
    model, figures = trained(config, on_device=True)
    expected, expected_figures = trained(config, on_device=False)
    for (name, tensor), other in zip(model.state_dict().items(), expected.state_dict().values(), strict=True):
        if name.endswith(("conv1.bias", "conv2.bias", "running_mean")):
            continue  # the norm takes the bias away: its gradient is rounding, which adam makes as large as any
        torch.testing.assert_close(tensor, other, rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
    for found, wanted in zip(figures, expected_figures, strict=True):
        assert found.loss == pytest.approx(wanted.loss, rel=1e-4)
        assert found.accuracy == pytest.approx(wanted.accuracy, abs=1 / 130)
        assert found.gradient_norm == pytest.approx(wanted.gradient_norm, rel=1e-3)
        assert found.heads.keys() == wanted.heads.keys() == {"conv1"}


class Crossings(TorchDispatchMode):
    """Notes what is copied from one device to another."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        tensors = [each for each in (*args, found) if isinstance(each, torch.Tensor)]
        # A number on the CPU may be handed to a kernel with the call.
        if len({each.device.type for each in tensors if each.dim()}) > 1:
            self.seen.append(str(function))
        return found


def fake_steps(model_config, config, device):
    """Steps whose tensors have no memory: they know shapes, and refuse what would need values."""
    shape = (3, 12, 12)
    with torch.device(device):
        model = build(model_config, shape, CLASSES)
        part = DeviceImages(torch.zeros((40, *shape), dtype=torch.uint8), torch.zeros(40, dtype=torch.int64))
        data = TrainingData(part, part, *torch.ones((2, 1, 3, 1, 1)), CLASSES, torch.channels_last)
        optimizer = build_optimizer(model, config, capturable=True)
        if device == "cpu":
            optimizer.step = lambda: None  # torch's own, which differs by device, is tried on a card
        # Tensors without memory cannot be copied deeply.
        with patch.object(
            averaging, "copy", SimpleNamespace(deepcopy=lambda model: build(model_config, shape, CLASSES))
        ):
            step = Step(model, data, config, optimizer, torch.Generator())
        steps = StepsOnDevice(step, [16, 16, 8], part.labels.device)
        steps.begin(torch.zeros(40, dtype=torch.int64), [(0.1, momentum(config, 0, 3, EPOCHS))] * 3)
    steps.make(16)
    return steps


@pytest.fixture
def fake_kernels(monkeypatch):
    """What fake tensors cannot do: the updates that are one kernel each, which give nothing."""
    for name in ("_fused_sgd_", "_fused_adam_", "_fused_adamw_"):

        def update(parameters, *lists, lr, **options):
            assert isinstance(lr, torch.Tensor)
            assert not any(isinstance(value, torch.Tensor) for value in options.values())

        monkeypatch.setattr(torch, name, update)


@pytest.fixture
def without_card(monkeypatch):
    """What fake tensors on a card need a real one for: drawing there, lower precision, and the way back."""

    def zero_gradients(optimizer, set_to_none):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)

    monkeypatch.setattr(torch, "autocast", lambda *kind, enabled: nullcontext())
    monkeypatch.setattr(torch, "rand", lambda size, **options: torch.zeros(size, device="cuda"))
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: None)
    monkeypatch.setattr(torch.optim.Optimizer, "zero_grad", zero_gradients)


@trainings
@networks
def test_no_step_waits_for_a_value_or_has_shapes_that_depend_on_one(config, network):
    with FakeTensorMode():
        steps = fake_steps(network, config, "cpu")
        steps.make(16)
        steps.make(8)


@trainings
@networks
def test_no_step_or_update_sends_anything_to_the_device_or_waits_for_it(config, network, fake_kernels, without_card):
    with FakeTensorMode():
        steps = fake_steps(network, config, "cuda")
        with Crossings() as crossings:
            steps.make(16)
            steps.make(8)
    assert not crossings.seen


@pytest.mark.parametrize("act", [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x + torch.ones(3)])
def test_what_would_wait_or_send_is_noticed(act):
    with FakeTensorMode(), Crossings() as crossings:
        on_card = torch.ones(3, device="cuda")
        try:
            act(on_card)
        except (DataDependentOutputException, DynamicOutputShapeException, RuntimeError):
            return
    assert crossings.seen


class Generator:
    """As much of a card's generator as graphs need; what it draws from is `state`."""

    def __init__(self, state):
        self.device, self.state, self.drawn = torch.device("cpu", 0), state, 0

    def get_state(self):
        return torch.Generator().manual_seed(self.drawn).get_state()

    def graphsafe_get_state(self):
        return self.state

    def graphsafe_set_state(self, state):
        self.state = state.state if isinstance(state, Generator) else state


def forbidden(*args, **kwargs):
    raise AssertionError("the neighbours on the card would have to wait")


def is_free(lock):
    """Whether another thread could take the lock."""
    found = []
    thread = threading.Thread(target=lambda: found.append(lock.acquire(blocking=False) and lock.release() is None))
    thread.start()
    thread.join()
    return found[0]


class Card:
    """Stands in for a card and a step: it makes again what was captured. `errors` are those of captures, by length."""

    def __init__(self, monkeypatch, errors, lengths=(4, 4, 2), seconds=0.0):
        self.done, self.told, self.graphs, self._doing, self._errors = [], [], [], "made", errors
        self.seconds = seconds
        self.clock = 0.0  # the card's time
        self.error_at_end = None  # what the end of a capture says
        self.dropout = False  # whether a step draws from the default generator
        self.locked = []  # of each step that is made, whether it holds the lock
        self.n_given = self.n_run = self.n_waits = self.most_ahead = 0
        self.default, self.own, self.order = Generator("default"), Generator("own"), Generator("order")
        stream = SimpleNamespace(device=self.own.device, wait_stream=lambda other: None)
        fakes = {
            "current_stream": lambda device: stream,
            "default_stream": lambda device: stream,
            "Stream": lambda device: stream,
            "stream": lambda stream: nullcontext(),
            "default_generators": [self.default],
            "CUDAGraph": self._graph,
            "graph_pool_handle": lambda: "pool",
            "Event": self._event,
            "graph": forbidden,  # it waits for the whole card
            "synchronize": forbidden,
            "empty_cache": forbidden,
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)
        self.draws, self.generator = True, self.order
        self.optimizer = SimpleNamespace(param_groups=[])
        self._epoch = GraphedEpoch(self, list(lengths), self.own, self.told.append)
        monkeypatch.setattr(cuda_graphs.time, "perf_counter", lambda: self.clock)

    def __call__(self, batch):
        """The step."""
        if self._doing == "made":
            self.locked.append(not is_free(process_locks.gpu))
            self.own.drawn += self.dropout
        if self._doing == "captured" and len(batch) in self._errors:
            raise self._errors[len(batch)]
        assert self._doing == "replayed" or not self.locked[-1] or self.default.state == self.own.state
        self.n_given += self._doing != "captured"
        self.done.append((self._doing, *(batch.tolist() if self._doing != "captured" else [len(batch)])))

    def train(self, order, after_batch=lambda: None):
        order = torch.tensor(order)
        self._epoch(order, [(0.1, None)] * len(self._epoch._lengths), after_batch)
        assert self.default.state == "default"
        assert is_free(process_locks.gpu)

    def _event(self, *, blocking):
        """An event: the card runs what it was given before only when somebody waits for it."""
        assert blocking

        def record(stream):
            event.n_given = self.n_given

        def synchronize():
            self.n_waits += 1
            self.most_ahead = max(self.most_ahead, self.n_given - self.n_run)
            self.clock += self.seconds * max(0, event.n_given - self.n_run)
            self.n_run = max(self.n_run, event.n_given)

        event = SimpleNamespace(record=record, synchronize=synchronize)
        return event

    def _graph(self):
        graph = SimpleNamespace(registered=[], is_reset=False)
        graph.register_generator_state = graph.registered.append
        graph.reset = lambda: setattr(graph, "is_reset", True)
        steps, before = self._epoch._steps, []

        def capture_begin(pool, *, capture_error_mode):
            assert (pool, capture_error_mode) == ("pool", "thread_local")
            assert not gc.isenabled()
            assert not is_free(process_locks.gpu)
            before[:] = steps._start.clone(), steps._number.clone()
            steps._start.zero_()
            steps._number.zero_()
            self._doing = "captured"

        def capture_end():
            self._doing, length = "made", int(steps._start)
            steps._start.copy_(before[0])
            steps._number.copy_(before[1])
            graph.replay = lambda: replay(length)
            if self.error_at_end is not None:
                raise self.error_at_end

        def replay(length):
            assert gc.isenabled()
            self._doing = "replayed"
            steps.make(length)
            self._doing = "made"

        graph.capture_begin, graph.capture_end = capture_begin, capture_end
        self.graphs.append(graph)
        return graph


def test_every_length_of_a_batch_is_captured_behind_the_first_steps_and_replayed_from_then_on(monkeypatch):
    card = Card(monkeypatch, {})
    card.train(range(10))
    card.train(range(9, -1, -1))
    assert card.done == [
        ("made", 0, 1, 2, 3), ("made", 4, 5, 6, 7), ("made", 8, 9), ("captured", 2),
        ("made", 9, 8, 7, 6), ("captured", 4), ("replayed", 5, 4, 3, 2), ("replayed", 1, 0),
    ]  # fmt: skip
    assert not card.told


def test_training_that_gives_up_replays_nothing_and_draws_from_generators_that_no_graph_knows(monkeypatch):
    card = Card(monkeypatch, {4: RuntimeError("not permitted\nin a capture")})
    for _ in range(3):
        card.train(range(10))
    images = [("made", 0, 1, 2, 3), ("made", 4, 5, 6, 7), ("made", 8, 9)]
    assert [each for each in card.done if each[0] != "captured"] == 3 * images
    assert [graph.is_reset for graph in card.graphs] == [False, True]
    assert card.own.state not in ("own", card.order.state)
    assert card.order.state != "order"
    assert card.told == ["its steps cannot be captured in a CUDA graph and run one by one instead: not permitted"]


@pytest.mark.parametrize("dropout", [False, True])
def test_training_that_gave_up_takes_the_lock_only_for_what_it_draws(monkeypatch, dropout):
    card = Card(monkeypatch, {4: RuntimeError("not permitted")})
    card.dropout = dropout
    for _ in range(3):
        card.train(range(10))
    # Three steps in the first epoch, and in the second the one behind which the capture fails.
    assert card.locked == [True] * 4 + [dropout] * 5


def test_message_gives_the_first_error_of_a_capture_not_what_its_end_says(monkeypatch):
    card = Card(monkeypatch, {4: RuntimeError("the reason\nand more")}, lengths=[4, 4, 4])
    card.error_at_end = torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")
    card.train(range(12))
    assert card.told == ["its steps cannot be captured in a CUDA graph and run one by one instead: the reason"]
    assert gc.isenabled()


@pytest.mark.parametrize("at_end", [False, True])
def test_any_other_error_of_a_capture_leaves_nothing_locked_or_off(monkeypatch, at_end):
    card = Card(monkeypatch, {} if at_end else {2: KeyError("a bug")})
    card.error_at_end = KeyError("a bug") if at_end else None
    with pytest.raises(KeyError):
        card.train(range(10))
    assert card.default.state == "default"
    assert is_free(process_locks.gpu)
    assert gc.isenabled()


def test_collection_that_was_off_stays_off():
    graph = SimpleNamespace(capture_begin=lambda pool, capture_error_mode: None, capture_end=lambda: None)
    gc.disable()
    try:
        with cuda_graphs._capturing(graph, "pool"):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_lack_of_memory_in_a_capture_is_the_training_s_end(monkeypatch):
    card = Card(monkeypatch, {2: torch.OutOfMemoryError("CUDA out of memory")})
    with pytest.raises(torch.OutOfMemoryError):
        card.train(range(10))
    assert card.default.state == "default"
    assert is_free(process_locks.gpu)
    assert gc.isenabled()
    assert not card.told


@pytest.mark.parametrize(
    ("seconds", "most_waits", "most_ahead"), [(1e-5, 40, 3 * 256), (0.5, 4000, 3)], ids=["fast steps", "slow steps"]
)
def test_steps_are_counted_when_the_card_has_run_them(monkeypatch, seconds, most_waits, most_ahead):
    card, counted = Card(monkeypatch, {}, lengths=[1] * 2000, seconds=seconds), 0

    def after_batch():
        nonlocal counted
        counted += 1
        assert counted <= card.n_run

    for epoch in (1, 2):
        card.train(range(2000), after_batch)
        assert counted == card.n_run == epoch * 2000
    assert card.n_waits <= most_waits
    assert card.most_ahead <= most_ahead


@pytest.mark.parametrize(("version", "names"), [("2.11.0+cu130", ["order"]), ("2.13.1", ["order"]), ("2.14.0", [])])
def test_graph_is_told_of_its_generators_where_torch_does_not_find_them(monkeypatch, version, names):
    monkeypatch.setattr(torch, "__version__", TorchVersion(version))
    card = Card(monkeypatch, {})
    card.train(range(10))
    (graph,) = card.graphs
    assert [generator.state for generator in graph.registered] == names
