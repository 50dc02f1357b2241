from dataclasses import replace

import numpy as np
import pytest

from sweeper.analysis.view import View
from sweeper.data.source import DataAccess
from sweeper.errors import SweeperError
from sweeper.evaluation.statistics import Estimate
from sweeper.report import networks
from sweeper.report.blocks import Heading, Sentences, Table
from tests.promotion.test_outcome import entrant, outcome
from tests.report.subjects import subject

VIEW = View(name="classes", title="By class", how_to_read="How.", images_used="300 confirm images")


@pytest.fixture
def section(monkeypatch):
    """The section of a study with these views of its networks and these notes."""

    def made(*views, notes=(), steps=(), error="", outcome=None):
        def views_of(*_, notify, progress, **__):
            for step in steps:
                progress(step)
            for note in notes:
                notify(note)
            if error:
                raise SweeperError(error)
            return views

        monkeypatch.setattr(networks, "views_of", views_of)
        said = []
        return networks.section(replace(subject(([0.5],)), outcome=outcome), DataAccess(), said.append), said

    return made


def of_kind(found, kind):
    return [block for block in found.blocks if isinstance(block, kind)]


def test_each_look_says_which_images_it_is_of(section):
    (heading,) = of_kind(section(VIEW)[0], Heading)
    assert heading.how_to_read == "How. Images: 300 confirm images."


@pytest.mark.parametrize(
    ("n_seeds", "estimate", "words"),
    [
        (2, 0.9, "networks of seed 3, the first of the estimate. Section 1 has each finalist's mean score over all"),
        (
            2,
            None,
            "seed 3, the first of the estimate. Section 1 has each finalist's mean score of the order",
        ),
        (1, 0.9, "networks of seed 2, the only one of the estimate. They are not the registered networks"),
        (1, None, "networks of seed 2, the only one of the estimate. Section 1 has the scores of seed 1,"),
    ],
)
def test_after_a_promotion_the_seed_of_the_networks_is_named(n_seeds, estimate, words, section):
    confirm = None if estimate is None else Estimate(estimate, None, None)
    found, _ = section(VIEW, outcome=outcome(entrants=[entrant(validation=np.full(n_seeds, 0.9), confirm=confirm)]))
    assert words in found.how_to_read


@pytest.mark.parametrize(("n_classes", "sortable"), [(10, False), (100, True)])
def test_columns_of_figures_sort_as_numbers_and_a_long_table_sorts_and_filters(n_classes, sortable, section):
    rows = [[f"class {n}", 1000 + n, f"{n}.0 % [0.0, 100.0]", ""] for n in range(n_classes)]
    columns = ["class", "images", "accuracy", "difference"]
    (table,) = of_kind(section(replace(VIEW, table={"columns": columns, "rows": rows}))[0], Table)
    assert list(table.numeric) == [1, 2, 3]
    assert table.rows[1] == ["class 1", "1,001", "1.0 % [0.0, 100.0]", ""]
    assert table.sortable == sortable


def test_what_is_left_out_is_said_and_progress_is_not(section):
    found, said = section(VIEW, steps=["Embedding ..."], notes=["The baseline is left out: no weights"])
    assert said == ["Embedding ...", "The baseline is left out: no weights"]
    assert found.data["left_out"] == ["The baseline is left out: no weights"]
    assert of_kind(found, Sentences)[-1].texts == found.data["left_out"]


def test_without_networks_the_reason_stands_in_the_section(section):
    found, _ = section(error="the data were moved")
    texts = [text for block in of_kind(found, Sentences) for text in block.texts]
    assert texts == ["the data were moved"]
    assert found.data["looks"] == []
    assert "has kept its weights" in of_kind(section()[0], Sentences)[0].texts[0]
