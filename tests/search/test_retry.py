import optuna
import pytest

from sweeper.errors import SweeperError
from sweeper.search import study as studies
from sweeper.search.retry import retry_failed
from sweeper.search.worker import Failure
from tests.search.test_coordinator import EXAMPLE, Sweep, steady

COMMAND = "sweeper search tiny --trials 8"


def failing(*numbers):
    """A script by which these trials fail."""

    def script(job, epoch):
        return Failure("error", "oops", "trace") if job.number in numbers else steady(job, epoch)

    return script


@pytest.fixture
def sweep(tmp_path):
    return Sweep(tmp_path)


def retry(sweep):
    return retry_failed(sweep.store, sweep.study)


def searched(sweep, script, trials=8):
    """The records of a search that is done."""
    records = sweep.run(script, trials=trials)
    studies.mark_running(sweep.study, trials, COMMAND)
    studies.mark_ended(sweep.study, "")
    return records


def test_failed_configurations_are_the_next_that_the_search_trains(sweep):
    before = searched(sweep, failing(4, 6))
    retried = retry(sweep)
    assert retried.numbers == (4, 6)
    assert (retried.trials, retried.command) == (10, "sweeper search tiny --trials 10")
    after = sweep.run(trials=retried.trials)
    assert [job.configuration for job in sweep.pool.jobs] == [before[4].configuration, before[6].configuration]
    assert [t.state for t in after[len(before) :]] == ["complete", "complete"]
    assert [sweep.study.trials[t.number].user_attrs["retry_of"] for t in after[len(before) :]] == [4, 6]


def test_total_that_leaves_room_is_not_raised(sweep):
    searched(sweep, failing(1), trials=3)
    studies.mark_running(sweep.study, 20, "sweeper search tiny --trials 20")
    assert (retry(sweep).trials, retry(sweep).command) == (20, "sweeper search tiny --trials 20")


def test_nothing_is_put_in_line_twice(sweep):
    searched(sweep, failing(4))
    assert retry(sweep).numbers == (4,)
    assert retry(sweep).numbers == ()
    sweep.run(trials=9)
    assert retry(sweep).numbers == ()


def test_retry_that_failed_again_can_be_tried_again_but_not_its_original(sweep):
    n = len(searched(sweep, failing(4)))
    retry(sweep)
    sweep.run(failing(n), trials=9)
    assert retry(sweep).numbers == (n,)


def test_failed_variant_is_tried_once_whoever_puts_it_in_line_first(sweep):
    searched(sweep, failing(0))
    assert retry(sweep).numbers == (0,)
    after = sweep.run(trials=9)
    assert [t.state for t in after if t.variant == "baseline"] == ["failed", "complete"]


def test_variant_that_the_search_put_in_line_itself_is_passed_over(sweep):
    searched(sweep, failing(0))
    studies.open_study(sweep.storage, "study", sweep.spec, sweep.space)  # as a search that was killed at its start
    assert retry(sweep).numbers == ()


def test_comparator_stays_unknown_to_the_sampler(tmp_path):
    sweep = Sweep(tmp_path, EXAMPLE + "\n[variants.wide]\nfilters = [20, 50, 120]\n")
    wide = next(t.number for t in searched(sweep, failing(3)) if t.variant == "wide")
    assert retry(sweep).numbers == (wide,)
    after = sweep.run(trials=9)
    again = [t for t in after if t.variant == "wide"]
    assert [t.state for t in again] == ["failed", "complete"]
    assert sweep.study.trials[again[1].number].state == optuna.trial.TrialState.FAIL


def test_comparator_that_the_search_put_in_line_itself_is_passed_over(tmp_path):
    sweep = Sweep(tmp_path, EXAMPLE + "\n[variants.wide]\nfilters = [20, 50, 120]\n")
    searched(sweep, failing(3))
    studies.open_study(sweep.storage, "study", sweep.spec, sweep.space)
    assert retry(sweep).numbers == ()


def test_pruned_and_infeasible_trials_have_their_result(sweep):
    def script(job, epoch):
        return Failure("diverged", "nan") if job.number == 4 else steady(job, epoch)

    searched(sweep, script)
    assert retry(sweep).numbers == ()
    assert studies.records(sweep.study)[-1].state != "waiting"


def test_study_that_had_finished_is_one_to_be_gone_on_with(sweep):
    searched(sweep, failing(4))
    retry(sweep)
    attributes = sweep.study.user_attrs
    assert attributes[studies.ENDED] == "sweeper retry"
    assert attributes[studies.COMMAND] == "sweeper search tiny --trials 9"


def test_running_study_is_refused_and_its_owner_named(sweep):
    searched(sweep, failing(4))
    with sweep.store.owning("study"), pytest.raises(SweeperError, match="study is being run by process"):
        retry(sweep)
    assert retry(sweep).numbers == (4,)
