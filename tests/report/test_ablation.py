from dataclasses import replace
from types import SimpleNamespace

import pytest

from sweeper.errors import SweeperError
from sweeper.promotion.ablation_outcome import AblationOutcome, Row
from sweeper.report import ablation
from sweeper.report.blocks import Commands, Figure, Sentences, Table
from sweeper.report.pictures import pictures
from sweeper.store.arguments import store_arguments
from sweeper.store.options import StoreOptions

ROW = Row(
    parameter="optimizer",
    champion_value="sgd",
    baseline_value="adam",
    along={"momentum": (0.9431, 0.0)},
    n_parameters=61_706,
    value=0.8,
    difference=0.021,
    low=0.004,
    high=0.038,
    level=0.975,
    p=0.01,
    p_adjusted=0.02,
    decided=True,
    detectable=0.02,
    verdict="worth it",
    sentence="optimizer sgd instead of adam; momentum 0.943 instead of 0: +2.1 points [+0.4, +3.8]: worth it.",
)
NEEDED = Row(
    parameter="batch_norm",
    champion_value=True,
    baseline_value=False,
    along={},
    n_parameters=61_000,
    verdict="needed",
    sentence="batch_norm true instead of false: needed, set back, 3 of 3 trainings diverged.",
)
OUTCOME = AblationOutcome(
    study="a study",
    metric="accuracy",
    trial=7,
    part="confirm",
    n_images=6000,
    seeds=[4, 5, 6],
    value=0.821,
    low=0.81,
    high=0.832,
    n_parameters=61_706,
    rows=[ROW, NEEDED],
    sentence="Of the 2 choices: all worth it.",
    notes=["How the differences are meant."],
    time="2026-01-02T03:04:05+00:00",
)


@pytest.fixture
def section(monkeypatch, tmp_path):
    """The section of a promoted study with this recorded ablation, or without a promotion."""

    def made(found, *, promoted=True, is_baseline=False, unread=""):
        def recorded(store, study, promoted):
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(ablation.ablation, "recorded", recorded)
        outcome = SimpleNamespace(entrants=[SimpleNamespace(is_baseline=is_baseline)]) if promoted else None
        store = StoreOptions(tmp_path / "my store").resolve({})
        subject = SimpleNamespace(
            name="a study", store=store, study=None, outcome=outcome, unread=unread, options=store_arguments(store)
        )
        return ablation.section(subject)

    return made


def texts(section):
    return [text for block in section.blocks if isinstance(block, Sentences) for text in block.texts]


def test_each_choice_has_a_row_and_the_differences_a_figure(section):
    found = section(OUTCOME)
    [table] = [block for block in found.blocks if isinstance(block, Table)]
    assert table.rows == [
        ["optimizer, momentum", "sgd; 0.943", "adam; 0", "+2.1 [+0.4, +3.8]", "61,706", "worth it"],
        ["batch_norm", "true", "false", "", "61,000", "needed"],
    ]
    assert "trial 7, whose confirm accuracy is 82.1 % [81.0, 83.2]" in table.caption
    [figure] = [block for block in found.blocks if isinstance(block, Figure)]
    assert "6,000 confirm images" in figure.title
    assert "right of 0" in found.how_to_read
    pictures(figure.plot)
    assert texts(found) == [OUTCOME.sentence, NEEDED.sentence, *OUTCOME.notes]
    assert found.data == {"recorded": True, **OUTCOME.as_json()}


def test_an_undecided_choice_has_the_question_that_it_leaves_and_a_loss_is_better_to_the_left(section):
    undecided = replace(ROW, verdict="undecided", decided=False)
    found = section(replace(OUTCOME, metric="loss", rows=[undecided, replace(undecided, difference=-0.02)]))
    [table] = [block for block in found.blocks if isinstance(block, Table)]
    assert [row[-1] for row in table.rows] == ["undecided: leave it out?", "undecided: more --seeds?"]
    assert "left of 0" in found.how_to_read


def test_without_an_ablation_there_is_the_command_for_it(section):
    found = section(None)
    [commands] = [block for block in found.blocks if isinstance(block, Commands)]
    [(what, command)] = commands.lines
    assert "each choice set back" in what
    assert command.startswith("sweeper ablate 'a study' --store ")
    assert found.data == {"recorded": False}


@pytest.mark.parametrize(
    ("found", "about", "words", "is_recorded"),
    [
        (None, {"promoted": False}, "it needs a promotion first", False),
        (None, {"promoted": False, "unread": "MLflow is away"}, "MLflow is away", None),
        (None, {"is_baseline": True}, "The champion is the baseline", False),
        (SweeperError("the recorded ablation is damaged"), {}, "It cannot be read: the recorded ablation", None),
    ],
)
def test_why_there_is_none_is_said(section, found, about, words, is_recorded):
    shown = section(found, **about)
    assert words in texts(shown)[0]
    assert shown.data == {"recorded": is_recorded}
