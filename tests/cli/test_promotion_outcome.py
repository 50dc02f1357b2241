"""The commands that come next after a promotion."""

import numpy as np
import pytest

from sweeper.cli.promotion_outcome import next_commands
from sweeper.data.source import DataAccess
from sweeper.engine.options import DeviceOptions
from sweeper.promotion.options import PromotionOptions
from sweeper.promotion.request import PromotionRequest
from sweeper.store.options import StoreOptions
from tests.promotion.finals import UNDECIDED, comparison
from tests.promotion.test_outcome import entrant, outcome

OPTIONS = {"top": 2, "seeds": 2, "prefer": "accuracy"}


@pytest.fixture
def following(tmp_path):
    """The commands after a promotion, without the options that name the store."""
    store = StoreOptions(tmp_path / "store").resolve({})

    def following(*typed, **changes):
        command = ["sweeper", "promote", "s", *typed]
        request = PromotionRequest(
            study="s", options=PromotionOptions(), device=DeviceOptions(), data_access=DataAccess(), store=store,
            command=command,
        )  # fmt: skip
        entrants = [entrant(3, test=None), entrant(0, alias="challenger", finalist={"is_baseline": True}, test=None)]
        fields = {
            "study_name": "s", "model_name": "sweeper-s", "entrants": entrants, "evaluations": (0, 0),
            "comparisons": [comparison(**UNDECIDED)], "constants": {}, "registered_champion": "7",
            "test_sha256": "0" * 64, "options": OPTIONS,
        } | changes  # fmt: skip
        return [line.replace(f" --store {store.root}", "") for line in next_commands(outcome(**fields), request)]

    return following


def test_the_report_and_predictions_come_first_and_no_server(following):
    lines = following(comparisons=[comparison()])
    assert lines == [
        "sweeper report s",
        "sweeper predict sweeper-s@champion IMAGE...",
        "sweeper promote s --test",
        "sweeper ui",
    ]


@pytest.mark.parametrize(("before", "seeds"), [(1, 5), (2, 5), (3, 6), (4, 8)])
def test_an_undecided_promotion_names_the_command_with_more_seeds(following, before, seeds):
    champion = entrant(3, test=None, validation=np.full(before, 0.9))
    others = [entrant(0, finalist={"is_baseline": True}, test=None)]
    [line] = [line for line in following("--jobs", "1", entrants=[champion, *others]) if "more seeds" in line]
    assert line == f"sweeper promote s --jobs 1 --top 2 --seeds {seeds} --again   # more seeds may decide it"


def test_the_new_promotion_has_the_options_of_the_one_that_is_shown_and_no_test(following):
    typed = ["--top=9", "--seeds", "2", "--trial", "7", "--test", "--allow-retest", "--prefer", "fast"]
    options = {"trials": [3, 5], "seeds": 2, "prefer": "small"}
    [line] = [line for line in following(*typed, options=options) if "more seeds" in line]
    assert line.startswith("sweeper promote s --trial 3 --trial 5 --seeds 6 --prefer small --again   #")


@pytest.mark.parametrize(
    ("recorded", "kept"),
    [({}, "--top=9 --prefer fast"), ({"top": 2}, "--prefer fast --top 2"), ({"seeds": 1}, "--top=9 --prefer fast")],
)
def test_typed_options_stay_where_an_older_sweeper_has_not_recorded_them(following, recorded, kept):
    [line] = [
        line for line in following("--top=9", "--prefer", "fast", "--seeds", "2", options=recorded) if "more" in line
    ]
    assert line.startswith(f"sweeper promote s {kept} --seeds 6 --again   #")


def test_after_a_test_more_seeds_are_said_to_leave_the_test_part_alone(following):
    entrants = [entrant(3), entrant(0, finalist={"is_baseline": True})]
    tested = comparison(part="test", **UNDECIDED)
    changes = {"entrants": entrants, "evaluations": (1, 1)}
    lines = following("--test", comparisons=[comparison(**UNDECIDED), tested], **changes)
    [line] = [line for line in lines if "more seeds" in line]
    assert line.endswith("--again   # more seeds may decide it; it does not use the test part")
    assert " --test" not in line
    assert lines[3] == "sweeper ledger"
    for decided in ([comparison(), tested], [comparison(**UNDECIDED), comparison(part="test")]):
        assert "more seeds" not in "".join(following("--test", comparisons=decided, **changes))


@pytest.mark.parametrize("classes", [["cat"], []])
def test_more_seeds_are_not_offered_where_they_decide_nothing(following, classes):
    champion = entrant(3, test=None, constant=classes)
    decided = comparison() if not classes else comparison(**UNDECIDED)
    baseline = entrant(0, finalist={"is_baseline": True}, test=None)
    assert not [line for line in following(entrants=[champion, baseline], comparisons=[decided]) if "--again" in line]
