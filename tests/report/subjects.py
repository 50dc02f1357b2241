"""Studies in memory, as reports see them, with trials of the test's choice."""

from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweeper.config import Configuration
from sweeper.report.subject import Subject
from sweeper.store.layout import Store
from sweeper.studies import trial_records
from sweeper.studies.attributes import RESULT, SPEC, TRIAL
from sweeper.studies.objective import direction
from sweeper.studies.spec import StudySpec
from tests.sweep.sweeps import SPEC as FIELDS

KINDS = {
    "activation": CategoricalDistribution(["relu", "tanh"]),
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "batch_size": IntDistribution(16, 128),
    "optimizer": CategoricalDistribution(["adam", "sgd"]),
    "momentum": FloatDistribution(0.5, 0.99),
}
SPACE = {"parameters": {name: {} for name in KINDS}, "fixed": {}, "variants": {"baseline": {"family": "mlp"}}}
STORE = Store(Path("/nowhere"), "sqlite:////nowhere/optuna.db", "sqlite:////nowhere/mlflow.db")


def drawn(number, **more):
    """Random values of the parameters; momentum only with sgd."""
    rng = np.random.default_rng(number)
    params = {
        "activation": str(rng.choice(["relu", "tanh"])),
        "lr": float(10 ** rng.uniform(-4, -1)),
        "batch_size": int(rng.integers(16, 128)),
        "optimizer": "sgd" if number % 2 else "adam",
    }
    return params | ({"momentum": float(rng.uniform(0.5, 0.99))} if number % 2 else {}) | more


def add(study, values, state="complete", *, params=None, **attributes):
    """Adds a trial with these scores by epoch, from 1; its result says how it ended."""
    number = len(study.trials)
    params = drawn(number) if params is None else params
    value = values[-1] if values and state == "complete" else None
    result = {"state": state, "value": value, "epochs": len(values), "seconds": 3.0, "n_parameters": 100 + number}
    states = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "running": "RUNNING", "waiting": "WAITING"}
    configuration = Configuration.from_values({"family": "mlp", **params}).values()
    study.add_trial(
        optuna.create_trial(
            state=optuna.trial.TrialState[states[state]],
            value=value,
            params=params,
            distributions={name: KINDS[name] for name in params},
            intermediate_values=dict(enumerate(values, start=1)),
            user_attrs={TRIAL: {"configuration": configuration}, **attributes}
            | ({} if state in ("running", "waiting") else {RESULT: result}),
        )
    )


def subject(*trials, status=None, **spec):
    """The subject of a study with these trials, each the arguments of `add`."""
    study = optuna.create_study(
        study_name="tried", direction=direction(spec.get("metric", "accuracy"))
    )  # fmt: skip
    made = StudySpec.from_json(FIELDS | {"space": SPACE, "epochs": 3} | spec)
    study.set_user_attr(SPEC, made.as_json())
    for values, *state in trials:
        add(study, values, *state)
    about = {"state": "finished", "findings": [], "command": None} | (status or {})
    return Subject(STORE, study, made, trial_records.records(study), about, None, [], "")
