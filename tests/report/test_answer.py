import ast
import json
from dataclasses import replace

import pytest

from sweeper.report import answer
from sweeper.report.answer import MOST_RANKED, section
from sweeper.report.blocks import Commands, Facts, Heading, Listing, Sentences, Table
from sweeper.studies.network_input import NetworkInput
from tests.models.own_code import forget_code, in_use
from tests.promotion.test_outcome import TESTED, entrant, outcome
from tests.report.subjects import subject


def lead(found):
    (block,) = (block for block in found.blocks if isinstance(block, Sentences) and block.lead)
    return block.texts[0]


def test_without_a_promotion_the_best_trial_leads_and_the_next_command_is_named():
    found = section(subject(([0.5],), ([0.8],), ([0.7],)), None, 2)
    assert "trial 1" in lead(found)
    assert "80.0 %" in lead(found)
    (ranking,) = (block for block in found.blocks if isinstance(block, Table))
    assert [row[1] for row in ranking.rows] == ["1", "2", "0"]
    (command,) = (block for block in found.blocks if isinstance(block, Commands))
    assert command.lines[0][1].startswith("sweeper promote tried --top ")
    minutes = [text for block in found.blocks if isinstance(block, Sentences) for text in block.texts]
    assert any("with 2 workers" in text and "minute" in text for text in minutes)
    assert json.loads(json.dumps(found.data))["promoted"] is False


@pytest.mark.parametrize("trials", [[], [([0.1], "pruned")], [([], "failed")], [([0.3], "running")]])
def test_without_a_complete_trial_no_network_is_named(trials):
    found = section(subject(*trials), None, 2)
    assert "No trial has completed" in lead(found)
    assert not [block for block in found.blocks if isinstance(block, Commands)]


def test_a_running_study_suggests_no_promotion():
    found = section(subject(([0.5],), status={"state": "running"}), None, 2)
    assert not [block for block in found.blocks if isinstance(block, Commands)]


def test_the_lowest_loss_leads_in_nats():
    found = section(subject(([0.5],), ([0.25],), metric="loss"), None, 2)
    assert "trial 1" in lead(found)
    assert "0.2500" in lead(found)
    assert "%" not in lead(found)


def test_of_many_trials_the_best_are_ranked_and_the_rest_is_counted():
    found = section(subject(*([[0.5 + n / 1000]] for n in range(40))), None, 2)
    (ranking,) = (block for block in found.blocks if isinstance(block, Table))
    assert len(ranking.rows) == MOST_RANKED
    assert len(found.data["ranking"]) == 40


PARTS = {"train": 800, "validation": 100, "confirm": 100}


def promoted(*others, **changes):
    """The section of a promoted study; `others` are its networks' input, classes and parts."""
    networks, classes, parts = others or (None, (), {})
    tested = TESTED | {"confusions": []}
    changes = {"entrants": [entrant(test=tested), entrant(0, alias=None, version="8", test=tested)]} | changes
    made = replace(subject(*[([0.5],)] * 4), outcome=outcome(**changes))
    return section(made, networks, 2, classes, parts)


def finalists(**changes):
    """The table of the finalists of a promoted study, with its heading."""
    blocks = promoted(**changes).blocks
    heading = next(b for b in blocks if isinstance(b, Heading) and b.title == "The finalists")
    return blocks[blocks.index(heading) + 1], heading


def test_a_promotion_is_told_by_its_sentence_its_scores_and_its_finalists():
    tested = TESTED | {"confusions": [("cat", "dog", 7)]}
    found = section(replace(subject(([0.5],)), outcome=outcome(
        entrants=[entrant(test=tested), entrant(0, alias=None, version="8", test=None)],
        plain_sentence="Use trial 3.",
    )), None, 2)  # fmt: skip
    assert lead(found) == "Use trial 3."
    (facts, *_) = (block for block in found.blocks if isinstance(block, Facts))
    shown = dict(facts.rows)
    assert shown["Accuracy on confirm images"] == "90.0 % [87.8, 92.2]"
    assert shown["Accuracy on 100 test images"] == "90.00 % [82.00, 95.00]"
    assert found.data["promoted"] is True
    texts = [text for block in found.blocks if isinstance(block, Sentences) for text in block.texts]
    assert any("cat taken for dog 7 times." in text for text in texts)


def facts(**changes):
    """The scores and sizes at the head of a promoted study's section, by name."""
    (found, *_) = (block for block in promoted(**changes).blocks if isinstance(block, Facts))
    return dict(found.rows)


def test_the_baselines_score_stands_beside_that_of_the_champion_on_the_same_images():
    tested = TESTED | {"confusions": []}
    baseline = entrant(
        0,
        alias=None,
        version="8",
        test=tested | {"accuracy": 0.85, "low": 0.8, "high": 0.9},
        finalist={"is_baseline": True},
    )
    shown = facts(entrants=[entrant(test=tested), baseline])
    assert shown["The baseline's accuracy on 100 test images"] == "85.00 % [80.00, 90.00]"
    untested = replace(baseline, test=None)
    for champion in (entrant(test=tested), entrant(test=None)):
        shown = facts(entrants=[champion, untested])
        assert shown["The baseline's accuracy on confirm images"] == shown["Accuracy on confirm images"]


def test_a_champion_that_is_the_baseline_or_has_none_beside_it_has_its_score_once():
    alone = entrant(0, test=None, finalist={"is_baseline": True})
    for entrants in ([alone], [alone, entrant(3, alias="challenger", test=None)], [entrant(3, test=None)]):
        assert not [name for name in facts(entrants=entrants) if "aseline's" in name]


@pytest.mark.parametrize("test_flip", [True, False])
def test_costs_of_a_study_with_a_test_flip_are_told_to_be_of_one_pass(monkeypatch, test_flip):
    monkeypatch.setattr(answer, "milliseconds", lambda model, shape, n_classes: 0.5)
    made = replace(subject(*[([0.5],)] * 4, test_flip=test_flip), outcome=outcome(entrants=[entrant(test=None)]))
    (facts, *_) = (b for b in section(made, NetworkInput((1, 28, 28), 10), 2).blocks if isinstance(b, Facts))
    told = [name for name, text in facts.rows if text.endswith("; a prediction takes two such passes (test flip)")]
    assert [name.partition(",")[0] for name in told] == ["Multiply-adds an image", "Latency"] * test_flip


def test_finalists_have_a_confirm_column_only_with_confirm_images():
    table, heading = finalists(entrants=[entrant(test=None), entrant(0, test=None)])
    assert "confirm" in table.columns
    assert "best in the confirm column" in heading.how_to_read
    table, heading = finalists(entrants=[entrant(confirm=None, test=None), entrant(0, confirm=None, test=None)])
    assert "confirm" not in table.columns
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert "no confirm part" in heading.how_to_read


@pytest.mark.parametrize(("registered", "named"), [("7", "@champion"), ("3", "/7"), (None, "/7")])
def test_commands_name_the_champion_by_its_alias_only_if_it_has_it(registered, named):
    found = promoted(registered_champion=registered)
    (commands,) = (block for block in found.blocks if isinstance(block, Commands))
    assert all(f"sweeper-fashion_mnist-lenet5{named}" in command for _, command in commands.lines)
    assert found.data["model"] == f"sweeper-fashion_mnist-lenet5{named}"


def test_what_the_model_takes_and_gives_stands_beneath_the_answer(monkeypatch):
    monkeypatch.setattr(answer, "milliseconds", lambda model, shape, n_classes: 0.5)
    found = promoted(NetworkInput((1, 28, 20), 2), ("cat", "dog"), PARTS)
    (_, facts) = (block for block in found.blocks if isinstance(block, Facts))
    assert facts.rows == [
        ("It takes", "raw pixels, 0 to 255, of grey images, 28 high and 20 wide; others are fitted"),
        ("It gives a logit for each of 2 classes, in this order", "cat, dog"),
    ]


def test_the_whole_configuration_of_the_champion_stands_in_one_place():
    listings = {block.title: block.text for block in promoted().blocks if isinstance(block, Listing)}
    lines = listings["The whole configuration of the champion, trial 3"].splitlines()
    assert "optimizer = sgd" in lines
    assert "epochs = 15" in lines
    assert not any(line.startswith("step_size") for line in lines)  # the schedule has no steps


def quoted(found):
    (table,) = (b for b in found.blocks if isinstance(b, Table) and b.columns[0] == "of what")
    return {row[0]: row[1:] for row in table.rows}


def test_each_number_says_what_it_is_of_and_with_which_images_and_seeds():
    rows = quoted(promoted(None, (), PARTS))
    assert rows["this network, version 7"] == [
        "90.00 % [82.00, 95.00]", "100 test images", "once, on all 1,000 images of the study (refitted)",
    ]  # fmt: skip
    assert rows["its configuration, trained anew"][1:] == [
        "100 confirm images", "3 times, each with another seed, on 800 images",
    ]  # fmt: skip
    assert "chose the champion" in rows["only how the champion was chosen"][1]
    assert len(quoted(promoted(entrants=[entrant(test=None, confirm=None)]))) == 1


@pytest.mark.parametrize(
    ("options", "metric", "words"),
    [
        ({}, "accuracy", "again with 3 fresh seeds for the order and 3 others for the estimate: the champion has the"),
        ({}, "accuracy", "the highest mean validation accuracy of the trainings for the order."),
        ({"prefer": "small"}, "accuracy", "not told apart from the highest, the one with the fewest parameters is the"),
        ({}, "loss", "the lowest mean validation loss"),
    ],
)
def test_how_the_champion_was_chosen_is_told(options, metric, words):
    entrants = [entrant(metric=metric, test=None), entrant(0, metric=metric, test=None)]
    assert words in finalists(options=options, metric=metric, entrants=entrants)[1].how_to_read


def test_metrics_that_equal_the_accuracy_are_told_of_and_not_repeated():
    equal = TESTED | {"confusions": [], "balanced_accuracy": 0.9, "macro_recall": 0.9}
    for balanced, rows in (
        (0.9, ["accuracy", "macro F1", "loss"]),
        (0.8, ["accuracy", "balanced accuracy", "macro F1"]),
    ):
        found = promoted(entrants=[entrant(test=equal | {"balanced_accuracy": balanced})])
        (table,) = (b for b in found.blocks if isinstance(b, Table) and b.columns[0] == "metric")
        assert [row[0] for row in table.rows][: len(rows)] == rows
        assert ("balanced accuracy and" in table.caption) == (balanced == 0.9)
        assert "macro recall" in table.caption


def test_commands_and_python_name_the_code_of_ones_own_network(tmp_path, monkeypatch):
    forget_code(monkeypatch)
    path = in_use(tmp_path)
    (commands,) = (block for block in promoted(registered_champion="7").blocks if isinstance(block, Commands))
    *shown, (_, code) = commands.lines
    assert all(f" --code {path}" in command for _, command in shown)
    keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in ast.parse(code).body[1].value.keywords}
    assert keywords == {"store": "/nowhere", "code": [str(path)]}


def test_the_model_is_loaded_in_python_from_the_same_store():
    (commands,) = (block for block in promoted(registered_champion="7").blocks if isinstance(block, Commands))
    code = dict(commands.lines)["In Python"]
    called = ast.parse(code).body[1].value
    assert called.args[0].value == "sweeper-fashion_mnist-lenet5@champion"
    assert {keyword.arg: keyword.value.value for keyword in called.keywords} == {"store": "/nowhere"}
