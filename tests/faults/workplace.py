"""Commands on one store, and the fixed list of configurations that most fault tests use."""

from collections.abc import Sequence
from pathlib import Path

from tests.commands.processes import STUDY, Command, Driver, wait_for
from tests.faults import outcomes

# Eight networks, the smallest grid that leaves time for a kill; dropout draws from torch's global generator.
FIXED_LIST = """
[space]
title = "tiny"
datasets = ["fashion_mnist"]

[protocol]
epochs = 8

[model]
filters = { choices = [[4, 8, 16], [6, 8, 16]] }
kernel_size = 5
padding = [2, 0, 0]
hidden = [8]
activation = { choices = ["relu", "tanh"] }
dropout = 0.2

[train]
lr = { choices = [0.001, 0.004] }
batch_size = 32

[variants.baseline]
filters = [4, 8, 16]
activation = "relu"
lr = 0.001
"""
# Six of the eight leave time enough for a kill.
N_TRIALS, EPOCHS = 6, 8


class Workplace:
    """Runs commands on one store; `storage` is the address of Optuna's storage, if it is not in the store."""

    def __init__(self, driver: Driver, data: Path, space: Path, store: Path, storage: str | None = None) -> None:
        self.driver, self.data, self.space, self.store, self.storage = driver, data, space, store, storage

    def search(
        self,
        *more: object,
        study: str = STUDY,
        jobs: int = 1,
        space: Path | None = None,
        view: Sequence[str] = ("--verbose",),
        **how,
    ) -> Command:
        """Starts a search over the fixed list, or over another space."""
        listed = ("--sampler", "grid") if space is None else ()
        places = ["--space", space or self.space, "--data-dir", self.data, "--store", self.store]
        places += ["--storage", self.storage] if self.storage else []
        arguments = ("--pruner", "none", "--keep", N_TRIALS, "--study", study, "--jobs", jobs, "--device", "cpu")
        return self.driver.start("search", "tiny", *listed, *places, *arguments, *view, *more, stand_ins=True, **how)

    def run(self, name: str, *more: object, code: int = 0, **how) -> Command:
        """Runs a command on the store, which must end with this exit code."""
        return self.driver.start(name, *more, "--store", self.store, **how).ended(code)

    def status(self, study: str = STUDY):
        return self.run("status", study, "--json").json

    def trials(self, study: str = STUDY, tracking_uri: str | None = None) -> list[outcomes.Trial]:
        return outcomes.trials(self.store, study, tracking_uri, self.storage)

    def trains(self, search: Command, study: str = STUDY) -> None:
        """Waits until the search has trained one more epoch; fails if the search ends before that."""
        known = self.epochs(study)

        def found() -> bool:
            trained = self.epochs(study) > known
            assert trained or search.exit_code is None, (
                f"ended with {search.exit_code} before it trained:\n{search.stderr}"
            )
            return trained

        wait_for("an epoch", found)

    def logs(self, study: str = STUDY) -> list[str]:
        """The contents of the study's worker logs."""
        return [log.read_text() for log in (self.store / "logs").glob(f"{study}-????????/worker-*.log")]

    def epochs(self, study: str = STUDY, trial: int | None = None) -> int:
        return outcomes.epoch_lines(self.store, study, trial)


def assert_same(place: Workplace, undisturbed: Workplace, n_trials: int, study: str = STUDY) -> None:
    """Asserts that the study has just these trials, each once in both databases and bitwise as undisturbed."""
    found, expected = place.trials(study), undisturbed.trials()[:n_trials]
    assert not (different := outcomes.differences(found, expected)), "\n".join(different)
    ends = [[run.info.status for run in trial.runs] for trial in found]
    assert ends == [["FINISHED"]] * n_trials, ends
    for trial, other in zip(found, expected, strict=True):
        assert outcomes.weights(place.store, trial) == outcomes.weights(undisturbed.store, other), trial.number
    # No checkpoint of an ended trial remains.
    left = list((place.store / "checkpoints").rglob("*.safetensors*"))
    assert left == [], left
