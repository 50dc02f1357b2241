import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from sweeper.plots import FUNCTIONS, Plot
from tests.plots.drawn import draw

EPOCH = {"epoch": 1, "train_loss": 1.0, "validation_loss": 1.1, "train_accuracy": 0.7, "validation_accuracy": 0.6}
HEAD = {"aux_conv2_train_accuracy": 0.5, "aux_conv2_validation_accuracy": 0.4}
RATES = {"name": "baseline", "steps": [0.0, 0.5], "rates": [1e-3, 1e-3], "momenta": None}
ARGUMENTS = {
    "confusion_matrix": {"matrix": [[3, 1], [0, 2]], "classes": ["cat", "dog"], "title": "t"},
    "head_accuracies": {"epochs": [EPOCH | HEAD], "title": "t"},
    "learning_curves": {"epochs": [EPOCH], "title": "t"},
    "learning_rates": {"variants": [RATES], "title": "t"},
    "mean_learning_curves": {"trainings": [[EPOCH], [EPOCH]], "title": "t"},
    "optimization_history": {
        "numbers": [0],
        "values": [0.9],
        "states": ["complete"],
        "metric": "accuracy",
        "direction": "maximize",
    },
    "overlaid_curves": {"variants": [{"name": "baseline", "trainings": [[EPOCH]]}], "title": "t"},
    "parameter_importance": {"importances": {"lr": 1.0}, "basis": "b"},
}


def test_every_function_has_its_arguments_here():
    assert FUNCTIONS.keys() == ARGUMENTS.keys()


@pytest.mark.parametrize("function", ARGUMENTS)
def test_a_plot_survives_json(function):
    text = json.dumps(asdict(Plot(function, ARGUMENTS[function])))
    draw(Plot(**json.loads(text)).draw())


def test_importing_plots_leaves_pyplot_alone():
    code = "import sys, sweeper.plots; print('matplotlib.pyplot' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
