import io
import json
import subprocess
import sys
from dataclasses import asdict

import matplotlib
import pytest
from matplotlib.figure import Figure

from sweeper.plots import FUNCTIONS, Plot
from tests.plots.drawn import draw

EPOCH = {"epoch": 1, "train_loss": 1.0, "validation_loss": 1.1, "train_accuracy": 0.7, "validation_accuracy": 0.6}
HEAD = {"aux_conv2_train_accuracy": 0.5, "aux_conv2_validation_accuracy": 0.4}
RATES = {"name": "baseline", "steps": [0.0, 0.5], "rates": [1e-3, 1e-3], "momenta": None}
NETWORKS = [{"name": "champion", "matrix": [[3, 1], [0, 2]]}, {"name": "baseline", "matrix": [[4, 0], [2, 0]]}]
SCORES = {"name": "champion", "accuracy": [0.9, None], "low": [0.8, None], "high": [0.95, None], "f1": [0.9, None]}
DIFFERENCES = {"accuracy": [0.1, None], "low": [0.05, None], "high": [0.2, None], "decided": [True, False]}
IMAGE = [[[0, 255], [128, 7]]]
LAYER = {"layer": "conv1", "channels": 8, "height": 2, "width": 2, "shown": [5], "maps": IMAGE, "low": -1, "high": 2}
TILE = {"image": IMAGE, "name": "image 3", "true": "dog", "classes": ["cat", "dog"], "probabilities": [0.7, 0.3]}
BIN = {"low": 0.6, "high": 0.7, "n": 9, "confidence": 0.65, "accuracy": 0.5, "accuracy_low": 0.2, "accuracy_high": 0.8}
NETWORK = {"trial": 1, "cost": 61_706, "value": 0.9, "on_front": True, "may_win": True}
CHOICE = {"change": "batch_norm true instead of false", "difference": 0.01, "low": 0.0, "high": 0.02}
ARGUMENTS = {
    "ablation": {"rows": [CHOICE | {"verdict": "undecided"}], "metric": "accuracy", "title": "t"},
    "accuracy_and_cost": {
        "points": [NETWORK],
        "metric": "accuracy",
        "cost": "parameters",
        "direction": "maximize",
        "noise": 0.01,
    },
    "class_scores": {"networks": [SCORES, SCORES], "classes": ["cat", "dog"], "differences": DIFFERENCES, "title": "t"},
    "confusion_matrices": {"networks": NETWORKS, "classes": ["cat", "dog"], "title": "t"},
    "confusion_matrix": {"matrix": [[3, 1], [0, 2]], "classes": ["cat", "dog"], "title": "t"},
    "embeddings": {
        "networks": [{"name": "champion", "points": [[0, 0], [1, 1], [2, 2]], "labels": [0, 1, 2]}],
        "classes": ["cat", "dog", "cow"],
        "named": [0, 1],
        "title": "t",
    },
    "feature_maps": {
        "image": IMAGE,
        "networks": [{"name": "champion", "prediction": "says cat", "layers": [LAYER]}],
        "title": "t",
    },
    "head_accuracies": {"epochs": [EPOCH | HEAD], "title": "t"},
    "image_probabilities": {"tiles": [TILE], "title": "t"},
    "intermediate_values": {
        "curves": [{"number": 0, "state": "pruned", "steps": [1, 2], "values": [70.0, 80.0]}],
        "best": [0],
        "label": "Accuracy (%)",
        "step": "Epoch",
        "low": 0.0,
        "high": 100.0,
    },
    "learning_curves": {"epochs": [EPOCH], "title": "t"},
    "learning_curves_of_networks": {"networks": [{"name": "champion", "epochs": [EPOCH]}], "title": "t"},
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
    "pixel_statistics": {"mean": [[[0.5]]], "std": [[[0.2]]], "title": "t"},
    "reliability_diagram": {"networks": [{"name": "champion", "error": 0.1, "bins": [BIN]}], "title": "t"},
    "sample_grid": {"samples": [[IMAGE], [IMAGE]], "classes": ["cat", "dog"], "title": "t"},
    "scores_by_value": {
        "name": "lr",
        "values": [0.1, 0.2],
        "scores": [70.0, 80.0],
        "label": "Accuracy (%)",
        "low": 0.0,
        "high": 100.0,
    },
    "timeline": {"bars": [{"number": 0, "state": "complete", "start": 0.0, "end": 60.0}]},
}


def test_every_function_has_its_arguments_here():
    assert FUNCTIONS.keys() == ARGUMENTS.keys()


@pytest.mark.parametrize("function", ARGUMENTS)
def test_a_plot_survives_json(function):
    text = json.dumps(asdict(Plot(function, ARGUMENTS[function])))
    draw(Plot(**json.loads(text)).draw())


@pytest.mark.parametrize(
    ("function", "form"),
    [
        *((name, "png") for name in ARGUMENTS),
        *((name, "svg") for name in ("confusion_matrix", "embeddings", "timeline")),
    ],
)
def test_a_file_is_matplotlibs_own_to_the_last_byte(function, form):
    written = []
    for save in (Figure.savefig, lambda figure, *file, **options: figure.savefig(*file, **options)):
        file = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "sweeper"}):
            metadata = {"Date": None} if form == "svg" else {}
            save(Plot(function, ARGUMENTS[function]).draw(), file, format=form, dpi=60, metadata=metadata)
        written.append(file.getvalue())
    assert written[0] == written[1]


def test_figure_has_its_own_resolution_again_once_it_is_saved(tmp_path):
    figure = Plot("timeline", ARGUMENTS["timeline"]).draw()
    before = figure.dpi
    figure.savefig(tmp_path / "figure.png", dpi=before / 2)
    assert figure.dpi == before


def test_importing_plots_leaves_pyplot_alone():
    code = "import sys, sweeper.plots; print('matplotlib.pyplot' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
