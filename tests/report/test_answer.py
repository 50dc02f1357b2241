import json

import pytest

from sweeper.report.answer import MOST_RANKED, section
from sweeper.report.blocks import Commands, Sentences, Table
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
