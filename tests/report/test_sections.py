import pytest

from sweeper.report import ablation, frontier, importance
from sweeper.report.blocks import Commands, Figure, Sentences, Table
from sweeper.report.display_study import Scale
from sweeper.report.interactive import accuracy_and_cost
from sweeper.studies.importance import Importance
from sweeper.studies.network_input import NetworkInput
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
