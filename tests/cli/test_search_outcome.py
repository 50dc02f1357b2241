"""The commands that a search suggests at its end."""

from types import SimpleNamespace

import pytest

from sweeper.cli.search_outcome import _promotions
from sweeper.data.source import DataSource
from sweeper.evaluation.constant import Constant
from sweeper.promotion import after_search
from sweeper.promotion.after_search import Suggestion
from tests.promotion.test_finalists import record


@pytest.mark.parametrize(
    ("metric", "score", "constant", "is_tested"),
    [
        ("accuracy", 0.9, 0.5, True),
        ("accuracy", 0.5, 0.5, False),
        ("accuracy", 0.4, 0.5, False),
        ("loss", 0.4, 0.5, True),
        ("loss", 0.6, 0.5, False),
        ("accuracy", 0.4, None, True),
    ],
)
def test_networks_that_have_learnt_nothing_are_not_suggested_for_the_test(
    monkeypatch, metric, score, constant, is_tested
):
    monkeypatch.setattr(after_search, "suggested", lambda *given, **named: Suggestion(["--top", "1"], test=True))
    outcome = SimpleNamespace(
        study_name="mine",
        trials=[record(0, score, variant="baseline")],
        metric=metric,
        constant=constant and Constant("cat", constant),
        undelivered=0,
    )
    request = SimpleNamespace(store=None, source=DataSource("fashion_mnist"))
    assert _promotions(outcome, request) == ["sweeper promote mine --top 1" + " --test" * is_tested]
