import io

import numpy as np
import pytest
from rich.console import Console

from sweeper.cli.tables import confusions, finalists_table, tested_table
from sweeper.config import Configuration, ModelConfig, TrainConfig
from sweeper.evaluation.statistics import Estimate
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.outcome import Entrant, Outcome

TESTED = {
    "accuracy": 0.921, "low": 0.9156, "high": 0.9261, "loss": 0.3024, "macro_precision": 0.9216,
    "macro_recall": 0.921, "macro_f1": 0.9211, "thresholded_precision": None, "thresholded_recall": 0.9191,
    "confusions": [("[b]Shirt", "Coat", 71)],
}  # fmt: skip


def entrant(alias, *, is_baseline=False, tested=None):
    configuration = Configuration(ModelConfig(), TrainConfig())
    finalist = Finalist(48, configuration, {}, is_baseline, True, 0.9238, 0.9238, 200_830, 10)
    estimate = Estimate(0.9238, 0.0027, 50.0)
    return Entrant(finalist, alias, "1", np.array([0.92, 0.924, 0.926]), estimate, tested)


@pytest.fixture
def outcome():
    entrants = [entrant("champion", tested=TESTED), entrant(None, is_baseline=True)]
    return Outcome("study", "sweeper-fashion_mnist-lenet5", entrants, [], None, [], (1, 4), [])


def shown(table, width):
    text = io.StringIO()
    Console(file=text, width=width).print(table)
    return text.getvalue()


@pytest.mark.parametrize("width", [80, 160])
def test_no_figure_is_cut_off_in_a_narrow_terminal(outcome, width):
    finalists, tested = shown(finalists_table(outcome), width), shown(tested_table(outcome), width)
    for figure in ("200,830", "0.9238", "92.33", "0.31", "92.38", "[91.84,", "92.92]"):
        assert figure in finalists
    for figure in ("92.10", "[91.56,", "92.61]", "0.3024", "92.16", "91.91"):
        assert figure in tested
    assert "looks at it: 1 by this study, 4 in this store" in " ".join(tested.split())
    assert "\u2026" not in finalists + tested


def test_confusions_are_told_of_the_tested_networks_in_words(outcome):
    assert confusions(outcome) == ["champion: [b]Shirt taken for Coat 71 times"]
