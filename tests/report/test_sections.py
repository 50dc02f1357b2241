from dataclasses import replace

import numpy as np
import pytest

from sweeper.report import ablation, frontier, importance
from sweeper.report.blocks import Commands, Figure, Sentences, Table
from sweeper.report.display_study import Scale
from sweeper.report.interactive import accuracy_and_cost
from sweeper.studies.importance import Importance
from sweeper.studies.network_input import NetworkInput
from tests.promotion.test_outcome import entrant, outcome
from tests.report.subjects import subject

FOUND = Importance(
    "an evaluator", "validation accuracy after epoch 1", 50, 200,
    shares={"lr": 0.5, "activation": 0.1}, null_low={"lr": 0.0, "activation": 0.0},
    null_high={"lr": 0.2, "activation": 0.2}, above_chance={"lr": True, "activation": False},
    conditional={"momentum": "only 10 of 50 trials have it"},
)  # fmt: skip


def of_kind(found, kind):
    return [block for block in found.blocks if isinstance(block, kind)]


def texts(found):
    return " ".join(text for block in of_kind(found, Sentences) for text in block.texts)


def test_importances_stand_beside_what_chance_gives_with_all_that_they_are_of():
    found = importance.section(FOUND)
    (table,), (figure,) = of_kind(found, Table), of_kind(found, Figure)
    assert [(row[0], row[-1]) for row in table.rows] == [("lr", "yes"), ("activation", "no")]
    assert figure.plot.draw()
    for said in ("an evaluator", "epoch 1", "50 trials", "momentum"):
        assert said in texts(found)
    assert found.data["shares"]["lr"] == 0.5


def test_refused_importances_are_a_sentence_and_no_figure():
    found = importance.section(Importance("an evaluator", "accuracy", 6, 200, refused="Too few trials."))
    assert texts(found) == "Too few trials."
    assert not of_kind(found, Figure)


@pytest.mark.parametrize("sizes", [None, NetworkInput((1, 4, 4), 3, 600)])
def test_the_front_is_named_trial_by_trial_as_far_as_costs_are_known(sizes, monkeypatch):
    monkeypatch.setattr(frontier, "milliseconds", lambda model, shape, n_classes: 0.5)
    study = subject(([0.5],), ([0.8],), ([0.7],))
    found = frontier.section(study, sizes)
    (table,), (figure,) = of_kind(found, Table), of_kind(found, Figure)
    front = [point["trial"] for point in found.data["points"] if point["on_front"]]
    assert [int(row[0]) for row in table.rows] == front
    assert [row[4] for row in table.rows] == ["0.50" if sizes else ""] * len(front)
    assert figure.plot.draw()
    assert figure.interactive["data"]


def promoted_frontier(scores, roles):
    """The section of a promoted study: trials with these scores, and finalists with these roles."""
    entrants = [
        entrant(trial, alias=None if role == "baseline" else role, validation=np.array(fresh), test=None)
        for trial, (role, *fresh) in roles.items()
    ]
    made = replace(subject(*(([score],) for score in scores)), outcome=outcome(entrants=entrants))
    return frontier.section(made, None)


def test_a_champion_that_another_beat_in_the_search_is_marked_and_explained():
    roles = {1: ("champion", 0.85), 0: ("challenger", 0.75)}
    found = promoted_frontier([0.81, 0.8], roles)  # each trial has more parameters than the one before it
    assert "trial 0 scored 1.0 points better at no higher cost. But it did better with fresh seeds" in texts(found)
    (table,), (figure,) = of_kind(found, Table), of_kind(found, Figure)
    assert [row[:2] for row in table.rows] == [["0", "front, challenger"], ["1", "champion"]]
    assert figure.plot.draw()
    (ringed,) = (trace for trace in figure.interactive["data"] if trace["name"] == "finalists")
    assert ringed["text"] == ["challenger (0)", "champion (1)"]


def test_a_champion_that_was_not_ahead_with_fresh_seeds_is_not_said_to_be():
    found = promoted_frontier([0.81, 0.8], {1: ("champion", 0.75), 0: ("challenger", 0.85)})
    assert "The promotion chose by fresh seeds" in texts(found)
    assert "did better" not in texts(found)


def test_networks_of_the_front_need_not_be_finalists():
    (table,) = of_kind(promoted_frontier([0.7, 0.75, 0.8], {0: ("baseline", 0.7), 2: ("champion", 0.85)}), Table)
    assert [row[:2] for row in table.rows] == [["0", "front, baseline"], ["1", "front"], ["2", "front, champion"]]


def test_a_champion_on_the_front_needs_no_explanation():
    found = promoted_frontier([0.8, 0.81], {1: ("champion", 0.85), 0: ("challenger", 0.75)})
    assert "is not on the front" not in texts(found)


def test_networks_over_a_limit_are_not_called_beaten():
    points = [
        {"trial": 0, "cost": 1, "value": 0.5, "may_win": True, "on_front": True},
        {"trial": 1, "cost": 9, "value": 0.9, "may_win": False, "on_front": False},
        {"trial": 2, "cost": 2, "value": 0.4, "may_win": True, "on_front": False},
    ]
    drawn = accuracy_and_cost(points, Scale("Score", 100.0), "Parameters", (0, 100))
    assert {trace["name"]: trace["text"] for trace in drawn["data"]} == {
        "beaten": ["trial 2"], "may not win: over a limit": ["trial 1"], "front": ["trial 0"],
    }  # fmt: skip


def test_without_a_complete_trial_there_is_no_front():
    found = frontier.section(subject(([0.1], "pruned")), None)
    assert not of_kind(found, Figure)


def test_without_a_champion_there_is_no_ablation():
    found = ablation.section(subject(([0.5],)))
    assert found.data == {"recorded": False}
    assert not of_kind(found, Commands)
