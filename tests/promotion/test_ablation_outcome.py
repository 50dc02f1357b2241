"""What is said of an ablation."""

import json
from dataclasses import replace

import pytest

from sweeper.promotion.ablation_outcome import AblationOutcome, notes_on, plot_of, sentence_of, summed_up, verdict_of
from sweeper.store.stored_values import checked
from tests.promotion.finals import UNDECIDED, comparison
from tests.report.test_ablation import NEEDED, OUTCOME, ROW

CHANGE = "batch_norm true instead of false"


@pytest.mark.parametrize(
    ("changes", "verdict", "said"),
    [
        ({}, "worth it", "+1.2 points [+0.4, +2.0]: worth it."),
        (
            {"difference": -0.012, "low": -0.02, "high": -0.004, "level": 0.975},
            "harmful",
            "-1.2 points [-2.0, -0.4] (97.5 %, for several comparisons): harmful, the baseline's value is better.",
        ),
        (
            UNDECIDED,
            "undecided",
            "+0.2 points [-0.6, +1.0]: undecided, more --seeds?; a true difference of 1.1 points is detected in four "
            "of five ablations.",
        ),
        (
            UNDECIDED | {"difference": -0.002, "detectable": None},
            "undecided",
            "-0.2 points [-0.6, +1.0]: undecided, leave it out?",
        ),
        (
            {"difference": -0.05, "low": -0.08, "high": -0.02, "metric": "loss"},
            "worth it",
            "-0.0500 nats [-0.0800, -0.0200]: worth it.",
        ),
        (
            UNDECIDED | {"difference": 0.0, "metric": "loss", "detectable": None},
            "undecided",
            "0.0000 nats [-0.0061, +0.0101]: undecided, leave it out?",
        ),
    ],
)
def test_a_choice_is_judged_in_one_sentence(changes, verdict, said):
    found = comparison(**changes)
    assert verdict_of(found) == verdict
    assert sentence_of(CHANGE, found, n_seeds=3) == f"{CHANGE}: {said}"


@pytest.mark.parametrize(("n_seeds", "why"), [(1, "one seed gives no interval"), (3, "there is no interval")])
def test_without_an_interval_nothing_is_decided(n_seeds, why):
    found = comparison(low=None, high=None, decided=False)
    assert sentence_of(CHANGE, found, n_seeds) == f"{CHANGE}: +1.2 points: undecided, because {why}."


def test_all_choices_are_summed_up_by_verdict():
    rows = [
        ROW,
        NEEDED,
        replace(ROW, parameter="lr", verdict="harmful"),
        replace(ROW, parameter="filters, kernel_size", verdict="undecided"),
        replace(NEEDED, parameter="padding", verdict="untried"),
    ]
    assert summed_up(7, rows) == (
        "Of the 5 choices in which trial 7 differs from the baseline: 1 worth it (optimizer); 1 harmful (lr); 1 needed "
        "to train at all (batch_norm); 1 undecided (filters, kernel_size); 1 not tried (padding)."
    )
    assert summed_up(7, rows[:1]).startswith("Of the 1 choice in which trial 7 differs")


def test_the_notes_say_which_images_chose_the_champion():
    confirm = " ".join(notes_on("accuracy", "confirm", 6000, 3, 0.8))
    assert "over 3 fresh seeds and 6,000 confirm images; both were trained on 80 % of the training images" in confirm
    assert "Neither the champion nor its choices were selected by these images" in confirm
    validation = " ".join(notes_on("loss", "validation", 6000, 1, 0.8))
    assert "over one fresh seed" in validation
    assert "less is better" in validation
    assert "chose the champion by the same validation images" in validation


def test_an_outcome_is_read_back_as_it_was_recorded():
    together = replace(
        ROW,
        parameter="filters, kernel_size",
        champion_value={"filters": (8, 8), "kernel_size": (3, 3)},
        baseline_value={"filters": (8,), "kernel_size": 5},
    )
    outcome = replace(OUTCOME, rows=[ROW, NEEDED, together])
    text = json.dumps(outcome.as_json())
    found = AblationOutcome.from_text(text)
    assert json.dumps(found.as_json()) == text
    assert [row.change for row in found.rows] == [row.change for row in outcome.rows]
    assert found.rows[2].change == (
        "filters [8,8] instead of [8]; kernel_size [3,3] instead of 5; momentum 0.943 instead of 0"
    )
    assert found.n_seeds == 3


@pytest.mark.parametrize(
    "changes", [{"metric": "price"}, {"rows": 3}, {"rows": [{}]}, {"sentence": "\x1b[2J"}, {"seeds": ["4"]}]
)
def test_what_was_not_recorded_so_is_refused(changes):
    with pytest.raises(ValueError, match=r"ablation|metric|printable"):
        AblationOutcome.from_text(json.dumps(OUTCOME.as_json() | changes))
    checked(AblationOutcome, {k: v for k, v in OUTCOME.as_json().items() if k not in ("schema_version", "n_seeds")}, "")


def test_the_picture_has_every_choice():
    plot = plot_of(OUTCOME)
    assert [row["change"] for row in plot.arguments["rows"]] == [ROW.change, NEEDED.change]
    assert plot.arguments["title"] == "What each choice of trial 7 is worth (3 seeds, confirm images)"
    plot.draw()
