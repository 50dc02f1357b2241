import json
from dataclasses import replace

import pytest

from sweeper.report.answer import MOST_RANKED, section
from sweeper.report.blocks import Commands, Facts, Heading, Sentences, Table
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


def finalists(**changes):
    """The table of the finalists of a promoted study, with its heading."""
    made = replace(subject(([0.5],)), outcome=outcome(**changes))
    blocks = section(made, None, 2).blocks
    heading = next(b for b in blocks if isinstance(b, Heading) and b.title == "The finalists")
    return blocks[blocks.index(heading) + 1], heading


def test_a_promotion_is_told_by_its_sentence_its_figures_and_its_finalists():
    tested = TESTED | {"confusions": [("cat", "dog", 7)]}
    found = section(replace(subject(([0.5],)), outcome=outcome(
        entrants=[entrant(test=tested), entrant(0, alias=None, version="8", test=None)],
        plain_sentence="Use trial 3.",
    )), None, 2)  # fmt: skip
    assert lead(found) == "Use trial 3."
    (facts,) = (block for block in found.blocks if isinstance(block, Facts))
    shown = dict(facts.rows)
    assert shown["Accuracy on confirm images"] == "90.0 % [87.8, 92.2]"
    assert shown["Accuracy on 100 test images"].startswith("90.00 % [82.00, 95.00] (test looks so far: 1 by this")
    assert found.data["promoted"] is True
    texts = [text for block in found.blocks if isinstance(block, Sentences) for text in block.texts]
    assert any("cat taken for dog 7 times." in text for text in texts)


def test_finalists_have_a_confirm_column_only_with_confirm_images():
    table, heading = finalists(entrants=[entrant(test=None), entrant(0, test=None)])
    assert "confirm" in table.columns
    assert "Compare the confirm column" in heading.how_to_read
    table, heading = finalists(entrants=[entrant(confirm=None, test=None), entrant(0, confirm=None, test=None)])
    assert "confirm" not in table.columns
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert "no confirm part" in heading.how_to_read
