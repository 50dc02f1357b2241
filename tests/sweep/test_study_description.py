import pytest

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.events import State
from sweeper.studies.trial_records import TrialRecord
from sweeper.sweep.study_description import TOP, counts, description
from sweeper.tracking.descriptions import MOST_LETTERS


def trial(number, value=0.5, state=State.COMPLETE, variant=None, **changes):
    configuration = Configuration(ConvNetConfig(), TrainConfig(lr=0.001 if variant == "baseline" else 0.002))
    fields = {"params": {"lr": configuration.train.lr}, "reason": "", "n_parameters": 61_706} | changes
    return TrialRecord(
        number, state, value, fields.pop("params"), variant, configuration, fields.pop("reason"), True, 0, 3, **fields
    )


def test_ranking_is_in_percent_with_what_differs_from_the_baseline():
    text = description("study", [trial(0, 0.71, variant="baseline"), trial(1, 0.8267)], "accuracy", "sweeper search x")
    assert "| 1 | 1 | 82.67 | 61,706 | lr 0.002 |" in text
    assert "| 2 | 0 (baseline) | 71.00 | 61,706 |  |" in text
    assert "2 complete. Scores are the last epoch's validation accuracy, in percent" in text
    assert "\n    sweeper search x\n" in text
    assert "\n    sweeper report study" in text


def test_a_loss_is_ranked_in_nats():
    text = description("study", [trial(0, 0.71), trial(1, 0.25)], "loss", "")
    assert "in nats" in text
    assert text.index("| 1 | 1 | 0.2500 |") < text.index("| 2 | 0 | 0.7100 |")


def test_names_that_markdown_or_html_would_obey_are_shown_as_they_are():
    hostile = "<img src=x onerror=alert(1)> | [a](http://x) **b** `c`\n# d"
    text = description("study", [trial(0, variant=hostile)], "accuracy", "sweeper search '<b>'\n\n# e")
    rows = [line for line in text.splitlines() if "onerror" in line]
    assert len(rows) == 1
    assert rows[0].count("|") == 6  # the row's own
    for obeyed in ("<img", "[a]", "**b", "`c`", "http://", "\n# d", "\n# e"):
        assert obeyed not in text


def test_description_of_a_long_study_fits_into_a_tag_with_room_for_a_verdict():
    trials = [trial(n, 0.5, variant=f"{'name ' * 100}{n}", params={}) for n in range(200)]
    text = description("study", trials, "accuracy", "sweeper search " + "x" * 5000)
    assert len(text) < 0.6 * MOST_LETTERS
    assert text.count("\n| ") == TOP + 2


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ([State.COMPLETE, State.PRUNED, State.FAILED], "1 complete, 1 pruned, 1 failed"),
        ([], "0 complete"),
    ],
)
def test_only_outcomes_that_there_are_are_counted(states, told):
    assert counts([trial(n, state=state) for n, state in enumerate(states)]) == told
