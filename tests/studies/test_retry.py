import optuna
import pytest
from optuna.exceptions import StorageInternalError

from sweeper.engine.base import Failure
from sweeper.errors import SweeperError
from sweeper.store import layout
from sweeper.studies import lifecycle, trial_records
from sweeper.studies.attributes import SPEC
from sweeper.studies.queries import studies_in
from sweeper.studies.retry import retry_failed, retry_out_of_memory
from sweeper.studies.storage import open_storage
from tests.sweep.test_coordinator import EXAMPLE, Sweep, steady

COMMAND = "sweeper search tiny --trials 8"


def failing(*numbers):
    """A script by which these trials fail."""

    def script(job, epoch):
        return Failure("error", "oops", "trace") if job.number in numbers else steady(job, epoch)

    return script


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes a sweep whose study is in memory, and found again there."""

    def made(*more):
        sweep = Sweep(tmp_path, *more)
        monkeypatch.setattr("sweeper.studies.retry.find_again", lambda store, name, study_id: sweep.study)
        return sweep

    return made


@pytest.fixture
def sweep(make):
    return make()


def retry(sweep):
    return retry_failed(sweep.store, sweep.study)


def searched(sweep, script, trials=8):
    """The records of a search that is done."""
    records = sweep.run(script, trials=trials)
    lifecycle.mark_running(sweep.study, trials, COMMAND)
    lifecycle.mark_ended(sweep.study, "")
    return records


def test_reason_of_a_trial_that_failed_beside_a_full_memory_names_the_command_that_tries_it_again(sweep):
    full = Failure("out_of_memory", "CUDA out of memory", own_fault=False)
    trials = searched(sweep, lambda job, epoch: full if job.number == 4 else steady(job, epoch))
    assert trials[4].state == "failed"
    assert "`sweeper retry study --failed --store" in trials[4].reason
    assert retry(sweep).numbers == (4,)


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
    lifecycle.mark_running(sweep.study, 20, "sweeper search tiny --trials 20")
    assert (retry(sweep).trials, retry(sweep).command) == (20, "sweeper search tiny --trials 20")


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("loss", "another quantity: it can be shown"),
        ("accuracy", "another quantity: only logged losses differ, not the scores (accuracy); it can be shown"),
    ],
)
def test_study_that_no_search_can_resume_is_refused_and_stays_as_it_is(sweep, metric, said):
    searched(sweep, failing(4))
    spec = sweep.study.user_attrs[SPEC]
    sweep.study.set_user_attr(SPEC, spec | {"metric": metric, "space": {"fixed": {"softmax_output": True}}})
    before = sweep.study.user_attrs, len(sweep.study.trials)
    with pytest.raises(SweeperError, match=r"an older sweeper, .*; a search with --new starts another$") as refused:
        retry(sweep)
    assert said in str(refused.value)
    assert (sweep.study.user_attrs, len(sweep.study.trials)) == before


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
    lifecycle.open_study(sweep.storage, "study", sweep.spec, sweep.space)  # as a search that was killed at its start
    assert retry(sweep).numbers == ()


def test_comparator_stays_unknown_to_the_sampler(make):
    sweep = make(EXAMPLE + "\n[variants.wide]\nfilters = [20, 50, 120]\n")
    wide = next(t.number for t in searched(sweep, failing(3)) if t.variant == "wide")
    assert retry(sweep).numbers == (wide,)
    after = sweep.run(trials=9)
    again = [t for t in after if t.variant == "wide"]
    assert [t.state for t in again] == ["failed", "complete"]
    assert sweep.study.trials[again[1].number].state == optuna.trial.TrialState.FAIL


def test_comparator_that_the_search_put_in_line_itself_is_passed_over(make):
    sweep = make(EXAMPLE + "\n[variants.wide]\nfilters = [20, 50, 120]\n")
    searched(sweep, failing(3))
    lifecycle.open_study(sweep.storage, "study", sweep.spec, sweep.space)
    assert retry(sweep).numbers == ()


def test_pruned_and_infeasible_trials_have_their_result(sweep):
    def script(job, epoch):
        return Failure("diverged", "nan") if job.number == 4 else steady(job, epoch)

    searched(sweep, script)
    assert retry(sweep).numbers == ()
    assert trial_records.records(sweep.study)[-1].state != "waiting"


def test_study_that_had_finished_is_one_to_be_gone_on_with(sweep):
    searched(sweep, failing(4))
    retry(sweep)
    attributes = sweep.study.user_attrs
    assert attributes[lifecycle.ENDED] == "sweeper retry"
    assert attributes[lifecycle.COMMAND] == "sweeper search tiny --trials 9"


class Killed(BaseException):
    pass


@pytest.mark.parametrize("calls", range(5))
def test_retry_that_was_killed_is_finished_by_the_same_command(sweep, monkeypatch, calls):
    searched(sweep, failing(4, 6))
    done = []

    def killing(write):
        def killed(*arguments, **options):
            if len(done) == calls:
                raise Killed
            done.append(arguments)
            return write(*arguments, **options)

        return killed

    with monkeypatch.context() as patch:
        for name in ("set_user_attr", "enqueue_trial"):
            patch.setattr(optuna.Study, name, killing(getattr(optuna.Study, name)))
        with pytest.raises(Killed):
            retry(sweep)
    retry(sweep)
    attributes = sweep.study.user_attrs
    assert (attributes["trials"], attributes[lifecycle.ENDED]) == (10, "sweeper retry")
    assert attributes[lifecycle.COMMAND] == "sweeper search tiny --trials 10"
    after = sweep.run(trials=10)
    assert [trial.state for trial in after].count("complete") == 10
    assert retry(sweep).numbers == ()


@pytest.mark.parametrize("name", ["another", "study"])
def test_study_that_was_deleted_meanwhile_is_refused_and_the_one_of_its_number_stays(tmp_path, monkeypatch, name):
    sweep = Sweep(tmp_path)
    sweep.storage = open_storage(sweep.store)
    searched(sweep, failing(0), trials=1)
    owning = layout.Store.owning

    def late(store, study_name):
        optuna.delete_study(study_name="study", storage=sweep.storage)
        lifecycle.open_study(sweep.storage, name, sweep.spec, sweep.space)
        return owning(store, study_name)

    study = sweep.study
    monkeypatch.setattr(layout.Store, "owning", late)
    with pytest.raises(SweeperError, match=r"^study study was deleted meanwhile, by another command$"):
        retry_failed(sweep.store, study)
    [other] = studies_in(sweep.store)
    assert other._study_id == study._study_id
    assert lifecycle.ENDED not in other.user_attrs


def test_storage_that_takes_nothing_is_told_of_in_one_line(sweep, monkeypatch):
    searched(sweep, failing(4))

    def refuse(*arguments):
        raise StorageInternalError("full")

    monkeypatch.setattr(optuna.Study, "set_user_attr", refuse)
    with pytest.raises(SweeperError, match=r"Optuna's storage .* does not answer: full"):
        retry(sweep)


def test_running_study_is_refused_and_its_owner_named(sweep):
    searched(sweep, failing(4))
    with sweep.store.owning("study"), pytest.raises(SweeperError, match="study is being run by process"):
        retry(sweep)
    assert retry(sweep).numbers == (4,)


def hungry(*numbers):
    """A script by which these trials need more memory than there is."""

    def script(job, epoch):
        return Failure("out_of_memory", "tried to allocate 3 GiB") if job.number in numbers else steady(job, epoch)

    return script


GIB = 1 << 30


def test_trial_that_ran_out_of_memory_is_tried_again_when_there_is_more_and_counts_once(sweep):
    before = sweep.run(hungry(5), memory=2 * GIB)
    assert (before[5].state, before[5].memory, len(before)) == ("pruned", 2 * GIB, 8)
    (line,) = retry_out_of_memory(sweep.study, 4 * GIB)
    assert line == "trial 5 ran out of 2 GiB of memory; there are 4 GiB now: it is tried again"
    assert retry_out_of_memory(sweep.study, 4 * GIB) == []  # it is waiting already
    after = sweep.run(memory=4 * GIB)
    assert [job.number for job in sweep.pool.jobs] == [8]
    assert (after[8].state, after[8].retry_of) == ("complete", 5)
    assert after[8].configuration == before[5].configuration
    assert after[5].retried
    assert trial_records.counts(after) == {"complete": 8, "pruned": 0, "infeasible": 0, "fail": 0, "running": 0}
    assert retry_out_of_memory(sweep.study, 8 * GIB) == []


@pytest.mark.parametrize("memory", [None, GIB, 2 * GIB, int(2.1 * GIB)])
def test_without_clearly_more_memory_no_trial_is_tried_again(sweep, memory):
    sweep.run(hungry(5), memory=2 * GIB)
    assert retry_out_of_memory(sweep.study, memory) == []


def test_memory_that_an_older_version_did_not_record_is_not_guessed(sweep):
    sweep.run(hungry(5))
    assert retry_out_of_memory(sweep.study, 64 * GIB) == []


def test_trial_that_is_still_too_large_has_its_memory_recorded_anew(sweep):
    sweep.run(hungry(5), memory=2 * GIB)
    retry_out_of_memory(sweep.study, 4 * GIB)
    after = sweep.run(hungry(5, 8), memory=4 * GIB)
    assert (after[8].state, after[8].memory) == ("pruned", 4 * GIB)
    assert trial_records.counts(after)["infeasible"] == 1
    assert retry_out_of_memory(sweep.study, 4 * GIB) == []
    assert len(retry_out_of_memory(sweep.study, 8 * GIB)) == 1


def test_baseline_that_ran_out_of_memory_is_the_baseline_again(sweep):
    sweep.run(hungry(0), memory=2 * GIB)
    retry_out_of_memory(sweep.study, 4 * GIB)
    after = sweep.run(memory=4 * GIB)
    assert (after[8].variant, after[8].state) == ("baseline", "complete")


def test_second_try_that_fails_leaves_the_first_result(sweep):
    sweep.run(hungry(5), memory=2 * GIB)
    retry_out_of_memory(sweep.study, 4 * GIB)
    after = sweep.run(failing(8), memory=4 * GIB)
    assert (after[8].state, after[5].retried) == ("failed", False)
    assert len(retry_out_of_memory(sweep.study, 4 * GIB)) == 1
