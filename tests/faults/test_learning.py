"""The sampler learns from trials that cannot be trained: it proposes similar ones less often."""

import pytest

from sweeper.engine.base import Failure
from tests.sweep.test_coordinator import Sweep

pytestmark = pytest.mark.fault

SEEDS = (1, 2)
TRIALS = 50


def share_of_sgd(tmp_path, script):
    """The share of sgd in the later half of the proposals of two studies; by chance it would be a third."""
    later = []
    for seed in SEEDS:
        trials = Sweep(tmp_path / str(seed), seed=seed).run(script, trials=TRIALS)
        later += [t.params["optimizer"] for t in trials[TRIALS // 2 :] if "optimizer" in t.params]
    return later.count("sgd") / len(later)


@pytest.mark.parametrize(("kind", "epoch"), [("diverged", 1), ("out_of_memory", 2)])
def test_choice_that_always_fails_is_proposed_less(tmp_path, kind, epoch):
    def script(job, now):
        if job.configuration.train.optimizer == "sgd" and now == epoch:
            return Failure(kind, "always")
        return 0.5 + 0.003 * (job.number % 7) + 0.001 * now

    assert share_of_sgd(tmp_path, script) < 1 / 6
