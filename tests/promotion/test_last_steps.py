import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sweeper.errors import SweeperError
from sweeper.images.image_set import PixelFormat
from sweeper.promotion import last_steps, recorded
from sweeper.promotion.last_steps import LastSteps
from sweeper.promotion.options import PromotionOptions
from sweeper.store.options import StoreOptions
from sweeper.tracking import promotions
from tests.promotion.finals import finalist
from tests.promotion.test_outcome import outcome


@pytest.fixture
def steps(monkeypatch, tmp_path):
    """The last steps of a promotion with these options, and what they have logged and tested, in order."""
    done = []
    monkeypatch.setattr(recorded, "with_tests", lambda outcome, ledger, study_id: outcome)
    monkeypatch.setattr(recorded, "with_champion", lambda outcome, registry: replace(outcome, registered_champion="7"))
    monkeypatch.setattr(
        last_steps.descriptions, "add_to_study", lambda store, run_id, texts: done.append(("described", texts))
    )
    monkeypatch.setattr(last_steps.test_evaluation, "load", lambda *which: None)
    monkeypatch.setattr(last_steps.test_evaluation, "evaluate", lambda *which, **how: done.append("test"))

    def log_text(key, files):
        assert key is None
        done.extend((name, json.loads(text)) for name, text in files.items())

    store = StoreOptions(tmp_path).resolve({})

    def missing(files):
        assert files == [(None, promotions.FOUND)]
        done.append("flushed")
        return "".join(entry[1] for entry in done if entry[0] == "missing")

    def made(**options):
        jobs = SimpleNamespace(
            study_name="mine", study_id="x", store=store, spec=SimpleNamespace(metric="accuracy"),
            training_set=SimpleNamespace(pixel_format=PixelFormat((1, 28, 28))),
        )  # fmt: skip
        request = SimpleNamespace(options=PromotionOptions(**options), command=["sweeper", "promote"], store=None)
        tracker = SimpleNamespace(log_text=log_text, missing=missing, run_id="a")
        stop = SimpleNamespace(check=lambda: None)
        registry = SimpleNamespace(set_verdict=lambda *verdict: done.append(("verdict", *verdict)))
        return LastSteps(request, None, "ab", jobs, registry, tracker, print, stop), done

    return made


REFITS = {number: SimpleNamespace(key=f"net-{number}") for number in (3, 0)}
ORDER = [finalist(3, 0.9), finalist(0, 0.8, is_baseline=True)]


def test_what_was_found_is_recorded_before_the_test_and_the_result_after_it(steps):
    last, done = steps(test=True)
    shown = last.finish(None, outcome(), ORDER, REFITS)
    assert [one if isinstance(one, str) else one[0] for one in done] == [
        promotions.FOUND, "flushed", "test", promotions.PRINTED, "described", *["verdict"] * len(shown.entrants),
    ]  # fmt: skip
    verdicts = [(shown.model_name, entrant.version, shown.sentences) for entrant in shown.entrants]
    assert [one[1:] for one in done[5:]] == verdicts
    # In MLflow's description of the study, with the statistics if they find room.
    assert all(f"**{shown.plain_sentence}**" in text for text in done[4][1])
    assert done[0][1]["test_sha256"] == "ab"
    assert shown.registered_champion == done[3][1]["registered_champion"] == "7"


def test_nothing_is_tested_before_mlflow_has_what_was_found(steps):
    last, done = steps(test=True)
    done.append(("missing", "the server is away"))
    with pytest.raises(SweeperError, match=r"nothing was tested: the server is away"):
        last.finish(None, outcome(), ORDER, REFITS)
    assert done[-1] == "flushed"


def test_only_finalist_that_is_left_is_not_tested_unless_it_was_asked_for_alone(steps):
    last, done = steps(test=True)
    shown = last.finish(None, outcome(), ORDER[:1], REFITS)
    assert "test" not in done
    assert shown.verdict[-1].startswith("Not tested: only one finalist is left")
    last, done = steps(test=True, top=1)
    last.finish(None, outcome(), ORDER[:1], REFITS)
    assert "test" in done


def test_finalist_that_the_search_no_longer_has_is_named(steps):
    last, done = steps(test=True)
    with pytest.raises(SweeperError, match="the search no longer has champion of the promotion: --again"):
        last.test_recorded(None, outcome(), ORDER[1:], REFITS)
    assert done == []
