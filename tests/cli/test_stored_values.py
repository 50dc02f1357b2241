"""Stores whose values were changed: whatever stands in place of one, commands end in a line that says what is wrong."""

import random
import shutil

import pytest
from click.testing import CliRunner
from mlflow.store.model_registry import sqlalchemy_store as registry
from mlflow.store.tracking import sqlalchemy_store as tracking

from sweeper.cli import main
from tests.cli.stored_values import TEXTS, places
from tests.hostile import error_line, within
from tests.promotion.conftest import workplace  # noqa: F401

# Those that only show come first; after each of the others, the store is put back.
SHOWN = "studies|status kept|trials kept|ledger|promotions kept|promote kept|spaces export kept:1"
OTHERS = "sync|sync kept --rebuild|retry --failed kept|stop kept|doctor|delete kept --yes|train --trial kept:1"
PROMOTED = "promote kept --top 1 --seeds 1 --again|promote kept --test|promote kept --replace"


class Kept:
    """A store with a promoted and tested study, put back whole before each change; commands may not leave it."""

    def __init__(self, workplace, folder):  # noqa: F811
        self.root, self.whole, self.workplace = workplace.store, folder / "whole", workplace
        workplace.search("kept", "--trials", 2, "--epochs", 1)
        workplace.promoted("kept", "--top", 1, "--seeds", 1, "--test")
        shutil.copytree(self.root, self.whole)
        searched = f"search tiny --space {workplace.space} --study kept --trials 3 --epochs 1 --pruner none --keep 0"
        self.others = [*OTHERS.split("|"), *PROMOTED.split("|"), f"{searched} --jobs 1 --seed 2 -q"]

    def put_back(self):
        for engine in (*tracking.SqlAlchemyStore._engine_map.values(), *registry.SqlAlchemyStore._engine_map.values()):
            engine.dispose()  # MLflow's open connections would go on with the deleted file
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.whole, self.root)

    def run(self, line):
        """Runs a command, which may refuse in one line that blames nothing on sweeper."""
        takes_data = line.split()[0] in ("promote", "train", "search")
        data = ["--data-dir", str(self.workplace.folder / "data")] if takes_data else []
        with within():
            result = CliRunner().invoke(main, [*line.split(), *data, "--store", str(self.root)])
        assert result.exit_code in (0, 1, 2), (line, result.output, result.exception)
        assert "this is a bug in sweeper" not in result.output, (line, result.output)
        if result.exit_code:
            error_line(result)
        return result


@pytest.fixture(scope="module")
def kept(workplace, tmp_path_factory):  # noqa: F811
    return Kept(workplace, tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def changes(kept, thorough):
    """A sample of all changes: a few of each column and each file, with --thorough many."""
    kinds = {}
    for place in places(kept.root):
        kinds.setdefault(place.kind, []).append(place)
    draw = random.Random()
    return [(draw.choice(found), draw.choice(TEXTS)) for found in kinds.values() for _ in range(15 if thorough else 1)]


def test_no_changed_value_is_taken_for_a_fault_of_sweepers(kept, changes):
    beside = sorted(path.name for path in kept.root.parent.iterdir())
    for number, (place, text) in enumerate(changes):
        kept.put_back()
        place.replace(text)
        try:
            for line in [*random.sample(SHOWN.split("|"), 2), kept.others[number % len(kept.others)]]:
                kept.run(line)
        except AssertionError as error:
            raise AssertionError(f"{place.name} replaced by {text[:80]!r}") from error
        assert sorted(path.name for path in kept.root.parent.iterdir()) == beside


# Changes that once ended in a traceback, with the words that a user needs.
FOUND = {
    "optuna.db study_user_attributes schema": ('"x"', "studies", "schema should be a valid integer, got 'x'"),
    "optuna.db study_user_attributes spec": ("null", "status kept", "spec must be an object, got None"),
    "optuna.db study_user_attributes spec.metric": ("7", "status kept", "metric should be 'accuracy', "),
    "optuna.db study_user_attributes constant": ("[]", "status kept", "constant should be an object"),
    "optuna.db study_user_attributes trials": ('"x"', "status kept", "trials should be a valid integer, got 'x'"),
    "optuna.db trial_user_attributes result": ("null", "trials kept", "result should be an object"),
    "optuna.db trial_user_attributes result.metrics": ("[]", "trials kept", "result.metrics should be an object"),
    "optuna.db trial_user_attributes result.value": ('"x"', "promote kept", "result.value should be a valid number"),
    "optuna.db trial_params lr": ("[" * 100_000, "status kept", "lr of trial 0 of study kept cannot be read: it is"),
    "optuna.db trial_params lr.name": ("{}", "status kept", "lr of trial 0 of study kept cannot be read"),
    "found.json": ("[" * 100_000, "promote kept", "the recorded promotion of study kept cannot be read"),
    "found.json options": ('"x"', "promote kept", "promotion.options should be an object"),
    "found.json model_name": ("NaN", "promotions kept", "promotion.model_name should be a valid string"),
    "found.json finalists.0": ('{"x": 1}', "promotions kept", "promotion.entrants.0.alias is missing"),
    "ledger.jsonl complete.result.tested": ("[]", "promote kept", "result.tested should be an object"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOUND)
def test_changed_value_is_named_with_its_study_and_field(kept, kind):
    text, line, told = FOUND[kind]
    kept.put_back()
    place = next(place for place in places(kept.root) if f"{place.kind} {place.field}".strip() == kind)
    place.replace(text)
    assert told in kept.run(line).output.replace("\n", " ")


def test_study_whose_values_were_changed_can_be_deleted(kept):
    for kind in ("study_user_attributes schema", "trial_user_attributes result", "trial_params lr.name"):
        kept.put_back()
        next(place for place in places(kept.root) if f"{place.kind} {place.field}" == f"optuna.db {kind}").replace("{}")
        assert "2 trials" in kept.run("delete kept --yes").stdout
        assert kept.run("studies").stdout.startswith("No studies")
