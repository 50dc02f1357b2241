import pytest
import torch

from sweeper.config import ConvNetConfig, MlpConfig
from sweeper.models import latency

SHAPE = (1, 28, 28)
SMALL = MlpConfig(hidden=(4,))


@pytest.fixture(autouse=True)
def few_runs(monkeypatch):
    monkeypatch.setattr(latency, "N_WARM_UP", 1)
    monkeypatch.setattr(latency, "N_ROUNDS", 2)
    monkeypatch.setattr(latency, "N_RUNS", 3)


def test_the_least_of_the_rounds_medians_counts(monkeypatch):
    # The first round has a slow neighbour, the second one interruption.
    times = iter([5.0, 5.0, 5.0, 2.0, 900.0, 2.0])
    monkeypatch.setattr(latency, "_run", lambda network, image: next(times))
    assert latency.milliseconds(SMALL, SHAPE, 10) == 2.0


def test_it_runs_one_image_on_one_thread_without_dropout_and_restores_what_it_changed(monkeypatch):
    seen = []

    def run(network, image):
        seen.append((network.training, tuple(image.shape), torch.get_num_threads()))
        return 1.0

    monkeypatch.setattr(latency, "_run", run)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(2)
    try:
        latency.milliseconds(ConvNetConfig(padding=(2, 0, 0), dropout=0.5), SHAPE, 10)
        assert set(seen) == {(False, (1, *SHAPE), 1)}
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(threads)


def test_the_number_of_threads_is_restored_after_an_error(monkeypatch):
    monkeypatch.setattr(latency, "_run", lambda network, image: 1 / 0)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError):
            latency.milliseconds(SMALL, SHAPE, 10)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_what_a_network_prints_does_not_go_to_stdout(monkeypatch, capsys):
    monkeypatch.setattr(latency, "_run", lambda network, image: print("printed by the network") or 1.0)
    latency.milliseconds(SMALL, SHAPE, 10)
    out, err = capsys.readouterr()
    assert (out, set(err.splitlines())) == ("", {"printed by the network"})


def test_a_real_network_takes_some_time():
    assert 0 < latency.milliseconds(SMALL, SHAPE, 10) < 60_000


def test_a_network_that_cannot_take_the_images_is_refused():
    with pytest.raises(ValueError, match="conv1"):
        latency.milliseconds(ConvNetConfig(kernel_size=29), SHAPE, 10)


@pytest.mark.parametrize("change", [{"dropout": 0.3}, {"dropout_pool": 0.1}, {"init": "he"}])
def test_networks_that_differ_only_in_training_are_one_network(change):
    assert latency.deployed(ConvNetConfig(**change)) == ConvNetConfig()


@pytest.mark.parametrize("change", [{"filters": (6, 16, 84)}, {"activation": "tanh"}, {"batch_norm": True}])
def test_networks_that_compute_something_else_are_different_networks(change):
    assert latency.deployed(ConvNetConfig(**change)) == ConvNetConfig(**change)
