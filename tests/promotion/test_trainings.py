import math
from collections import Counter
from dataclasses import replace

import pytest

from sweeper import store as stores
from sweeper.config import Configuration, ModelConfig, TrainConfig
from sweeper.errors import SweeperError
from sweeper.promotion.trainings import Trainer, Training, key_of
from sweeper.search.coordinator import StopRequest
from sweeper.search.events import EpochEnded, Note, SweepStarted, TrialEnded, TrialInterrupted, TrialStarted
from sweeper.search.trial import TrialJob
from sweeper.search.worker import Failure
from sweeper.search.workers import Died
from sweeper.training.checkpoint import aside
from tests.search.fakes import FakePool, FakeTracker, metrics

OUT_OF_MEMORY = Failure("out_of_memory", "CUDA out of memory", own_fault=False)


def steady(job, epoch):
    """Every seed has an accuracy of its own, rising with the epochs."""
    return 0.5 + 0.01 * job.seed + 0.001 * epoch


def at(seed, epoch, *messages):
    """A script in which the training with this seed sends these messages, once each, in place of this epoch."""
    left = list(messages)

    def script(job, now):
        return left.pop(0) if (job.seed, now) == (seed, epoch) and left else steady(job, now)

    return script


def every_time(seed, epoch, message):
    """A script in which the training with this seed never gets past this epoch."""
    return lambda job, now: message if (job.seed, now) == (seed, epoch) else steady(job, now)


class Promotion:
    """Three trainings, seeds 1 to 3, and the tracker that the commands of one store share."""

    def __init__(self, folder):
        self.folder, self.store = folder, stores.resolve(folder, None, None, {})
        self.tracker = FakeTracker()
        self.trainings = [self.training(seed) for seed in (1, 2, 3)]

    def training(self, seed):
        job = TrialJob(4, Configuration(ModelConfig(), TrainConfig()), 3, seed, self.folder, "data")
        key = key_of(f"trial-4-seed-{seed}", job.identity)
        job = replace(job, folder=self.folder / key)
        return Training(key, f"trial 4, seed {seed}", job, {"sweeper.part": "train"}, {"config.json": "{}"})

    def run(self, script=steady, *, n_workers=1, stop=None, listener=None, prepare=None, trainings=None):
        """One command."""
        self.pool, self.stop, self.events = None, stop or StopRequest(), []

        def tell(event):
            self.events.append(event)
            if listener:
                listener(event)

        def start_workers():
            assert self.pool is None, "the workers are started twice"
            self.pool = FakePool(script, n_workers)
            if prepare:
                prepare(self.pool)
            return self.pool

        self.trainer = Trainer(self.store, "study", self.tracker, tell, self.stop)
        return self.trainer.run(trainings or self.trainings, "fresh seeds", start_workers)

    @property
    def trained(self):
        """The seeds that workers were given, in order."""
        return [job.seed for job in self.pool.jobs]

    def told(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def states(self, seed):
        return self.tracker.states.get(self.trainings[seed - 1].key, [])

    def epochs(self, seed):
        return self.tracker.epochs.get(self.trainings[seed - 1].key, [])


@pytest.fixture
def promotion(tmp_path):
    return Promotion(tmp_path)


def test_every_training_is_a_run_with_its_name_parameters_tags_and_texts(promotion):
    assert promotion.run()
    assert promotion.trained == [1, 2, 3]
    for training in promotion.trainings:
        name, params, tags = promotion.tracker.children[training.key]
        assert (name, tags) == (training.name, {"sweeper.part": "train"})
        assert params == {**training.job.configuration.values(), "epochs": 3, "seed": training.job.seed}
        assert promotion.tracker.texts[training.key] == {"config.json": "{}"}
        assert promotion.tracker.figures[training.key] == ["learning_curves.png"]
        assert promotion.tracker.states[training.key] == [("running", ""), ("complete", "")]
        assert promotion.tracker.epochs[training.key] == [1, 2, 3]
    assert promotion.pool.closed
    assert not promotion.trainer.diverged


def test_events_tell_what_is_trained_and_what_came_of_it(promotion):
    promotion.run(n_workers=2)
    [started] = promotion.told(SweepStarted)
    assert (started.study, started.what, started.done, started.total) == ("study", "fresh seeds", 0, 3)
    assert (started.epochs, started.n_workers, started.maximize, started.best) == (3, 2, None, None)
    assert [(e.number, e.name, e.from_epoch) for e in promotion.told(TrialStarted)] == [
        (number, f"trial 4, seed {number + 1}", 0) for number in range(3)
    ]
    ended = sorted(promotion.told(TrialEnded), key=lambda event: event.number)
    assert [(e.number, e.state, e.epochs, e.reason) for e in ended] == [(n, "complete", 3, "") for n in range(3)]
    assert [e.value for e in ended] == pytest.approx([0.513, 0.523, 0.533])
    for number in range(3):
        assert [e.metrics.epoch for e in promotion.told(EpochEnded) if e.number == number] == [1, 2, 3]


def test_refits_show_no_validation_value_and_log_none(promotion):
    def refit(job, epoch):
        return replace(
            metrics(epoch, 0.5), validation_loss=math.nan, validation_accuracy=math.nan, validation_macro_f1=math.nan
        )

    assert promotion.run(refit)
    assert [(e.state, e.value, e.epochs) for e in promotion.told(TrialEnded)] == [("complete", None, 3)] * 3
    logged = promotion.tracker.values[promotion.trainings[0].key]
    assert len(logged) == 3
    assert all("train_loss" in values and not any(n.startswith("validation") for n in values) for values in logged)


def test_workers_train_side_by_side_and_each_is_given_the_next_in_line(promotion):
    assert promotion.run(n_workers=2)
    assert promotion.trained == [1, 2, 3]
    numbers = [e.number for e in promotion.told(EpochEnded)]
    assert numbers.index(1) < 3  # the second does not wait for the first to end


def test_repeated_command_starts_no_workers_and_tells_nothing(promotion):
    promotion.run()
    assert promotion.run()
    assert promotion.pool is None
    assert not promotion.events
    assert all(len(states) == 2 for states in promotion.tracker.states.values())


def test_done_trainings_are_skipped_and_counted(promotion):
    promotion.run(trainings=promotion.trainings[1:2])
    assert promotion.run()
    assert promotion.trained == [1, 3]
    [started] = promotion.told(SweepStarted)
    assert (started.done, started.total) == (1, 3)
    # The numbers are those of the whole list, whatever was done before.
    assert [e.number for e in promotion.told(TrialEnded)] == [0, 2]


def of_another_identity(job):
    other = replace(job, data_key="other data", folder=job.folder.with_name("other"))
    pool = FakePool(steady)
    pool.train(0, other)
    for _ in range(3):
        pool.answer(0, go_on=True)
    job.weights.write_bytes(other.weights.read_bytes())


@pytest.mark.parametrize(
    "spoil",
    [
        of_another_identity,
        lambda job: job.weights.unlink(),
        lambda job: job.weights.write_bytes(job.weights.read_bytes()[:-1]),
        lambda job: job.weights.write_bytes(b""),
        lambda job: job.weights.write_bytes(b"\xff" * 100),
    ],
    ids=["another identity", "absent", "cut short", "empty", "garbage"],
)
def test_training_without_its_own_whole_weights_is_trained_again(promotion, spoil):
    promotion.run()
    spoil(promotion.trainings[1].job)
    assert promotion.run()
    assert promotion.trained == [2]
    assert promotion.run()
    assert promotion.pool is None


@pytest.mark.parametrize("last", [("running", ""), ("interrupted", "SIGINT"), None])
def test_training_whose_end_mlflow_has_not_heard_of_is_trained_again(promotion, last):
    promotion.run()
    promotion.tracker.states[promotion.trainings[1].key] = [last] if last else []
    if last is None:
        del promotion.tracker.states[promotion.trainings[1].key]
    assert promotion.run()
    assert promotion.trained == [2]
    assert promotion.states(2)[-1] == ("complete", "")
    assert promotion.epochs(2) == [1, 2, 3]


def stop_at(stop, seed, epoch):
    """A listener that requests a stop when this epoch of this seed has ended."""

    def listener(event):
        if isinstance(event, EpochEnded) and (event.number + 1, event.metrics.epoch) == (seed, epoch):
            stop.reason = "SIGINT"

    return listener


def test_stop_interrupts_what_is_running_and_the_next_command_goes_on_with_it(promotion):
    stop = StopRequest()
    assert not promotion.run(n_workers=2, stop=stop, listener=stop_at(stop, 1, 2))
    assert promotion.trained == [1, 2]
    assert {e.number for e in promotion.told(TrialInterrupted)} == {0, 1}
    assert promotion.states(1) == promotion.states(2) == [("running", ""), ("interrupted", "SIGINT")]
    assert promotion.states(3) == []
    assert promotion.pool.closed

    assert promotion.run()
    assert promotion.trained == [1, 2, 3]
    assert promotion.told(TrialStarted)[0].from_epoch == 2
    # What a checkpoint brings back is no news.
    assert [e.metrics.epoch for e in promotion.told(EpochEnded) if e.number == 0] == [3]
    assert [promotion.epochs(seed) for seed in (1, 2, 3)] == [[1, 2, 3]] * 3  # no epoch is logged twice


def test_stop_at_the_last_epoch_lets_the_training_finish(promotion):
    stop = StopRequest()
    assert not promotion.run(stop=stop, listener=stop_at(stop, 1, 3))
    assert promotion.states(1)[-1] == ("complete", "")
    assert not promotion.told(TrialInterrupted)
    assert promotion.trained == [1]


def test_stop_at_the_very_end_comes_too_late_to_leave_anything_undone(promotion):
    stop = StopRequest()
    assert promotion.run(stop=stop, listener=stop_at(stop, 3, 3))


def test_stop_before_the_workers_are_there_trains_nothing(promotion):
    assert not promotion.run(stop=StopRequest("SIGTERM"))
    assert promotion.pool.closed
    assert not promotion.pool.jobs
    assert not promotion.tracker.states


def test_stop_that_another_process_requests_ends_with_the_running_epochs(promotion):
    def listener(event):
        if isinstance(event, EpochEnded) and (event.number, event.metrics.epoch) == (1, 1):
            promotion.store.request_stop("study")

    with promotion.store.owning("study"):
        assert not promotion.run(listener=listener)
    assert promotion.stop.reason == "sweeper stop"
    assert promotion.states(2)[-1] == ("interrupted", "sweeper stop")
    assert promotion.trained == [1, 2]


def test_full_disk_ends_the_promotion_and_the_next_command_goes_on(promotion):
    full = Failure("disk_full", "model.safetensors cannot be written: No space left on device")
    with pytest.raises(SweeperError, match=r"^model\.safetensors cannot be written: .* goes on once there is room"):
        promotion.run(at(2, 2, full), n_workers=2)
    assert promotion.states(2)[-1][0] == "interrupted"
    assert promotion.pool.closed
    assert promotion.run()
    assert promotion.epochs(2) == [1, 2, 3]


@pytest.mark.parametrize("message", [Died(-15), OUT_OF_MEMORY])
def test_training_put_back_in_line_is_interrupted_when_a_stop_comes(promotion, message):
    stop = StopRequest()

    def script(job, epoch):
        if (job.seed, epoch) == (2, 2):
            stop.reason = "SIGTERM"
            return message
        return steady(job, epoch)

    assert not promotion.run(script, stop=stop)
    assert promotion.states(2)[-1] == ("interrupted", "SIGTERM")
    assert [e.number for e in promotion.told(TrialInterrupted)] == [1]
    assert promotion.states(3) == []
    assert promotion.run()
    assert promotion.trained == [2, 3]
    assert promotion.epochs(2) == [1, 2, 3]


def test_signal_handler_knows_when_there_is_something_to_save(promotion):
    seen = []

    def script(job, epoch):
        seen.append(promotion.stop.saving)
        return steady(job, epoch)

    promotion.run(script)
    assert seen
    assert all(seen)
    assert not promotion.stop.saving


def test_diverged_training_is_pruned_with_its_reason_and_stops_no_other(promotion):
    reason = "the training loss of epoch 2 is nan"
    script = every_time(2, 2, Failure("diverged", reason))
    assert promotion.run(script)
    assert promotion.trainer.diverged == {promotion.trainings[1].key: reason}
    assert promotion.states(2)[-1] == ("pruned", f"diverged: {reason}")
    assert promotion.states(1)[-1] == promotion.states(3)[-1] == ("complete", "")
    ended = promotion.told(TrialEnded)[1]
    assert (ended.number, ended.state, ended.epochs, ended.reason) == (1, "pruned", 1, f"diverged: {reason}")
    assert promotion.trainings[1].job.checkpoint.exists()

    # Nothing else remembers the reason: the next command finds it again, and only that.
    assert promotion.run(script)
    assert promotion.trained == [2]
    assert promotion.trainer.diverged == {promotion.trainings[1].key: reason}
    assert promotion.epochs(2) == [1]


def test_training_that_diverges_in_its_first_epoch_is_pruned_too(promotion):
    assert promotion.run(every_time(1, 1, Failure("diverged", "the training loss of epoch 1 is inf")))
    ended = promotion.told(TrialEnded)[0]
    assert (ended.state, ended.value, ended.epochs) == ("pruned", None, 0)


def test_error_ends_the_promotion_and_names_the_training_and_the_log(promotion):
    with pytest.raises(SweeperError, match=r"^trial 4, seed 1 failed: KeyError: 'x'; see worker-0\.log$"):
        promotion.run(every_time(1, 2, Failure("error", "KeyError: 'x'", "trace")), n_workers=2)
    assert promotion.states(1)[-1] == ("failed", "KeyError: 'x'; see worker-0.log")
    assert promotion.states(2)[-1][0] == "interrupted"  # it is running in the other worker
    assert [e.number for e in promotion.told(TrialInterrupted)] == [1]
    assert promotion.states(3) == []
    assert promotion.pool.closed
    assert not promotion.stop.saving

    assert promotion.run()
    assert promotion.trained == [1, 2, 3]
    assert [promotion.epochs(seed) for seed in (1, 2, 3)] == [[1, 2, 3]] * 3


def test_out_of_memory_gets_one_more_try(promotion):
    assert promotion.run(at(1, 2, OUT_OF_MEMORY))
    assert promotion.trained == [1, 1, 2, 3]
    assert promotion.states(1)[-1] == ("complete", "")
    assert promotion.epochs(1) == [1, 2, 3]
    [ended] = [e for e in promotion.told(TrialEnded) if e.number == 0]
    assert ended.epochs == 3


def test_out_of_memory_twice_ends_the_promotion(promotion):
    with pytest.raises(SweeperError, match=r"seed 1 failed: out of memory twice, .*: CUDA out of memory; see"):
        promotion.run(at(1, 2, OUT_OF_MEMORY, OUT_OF_MEMORY))
    assert promotion.trained == [1, 1]
    assert promotion.states(1)[-1][0] == "failed"
    assert promotion.pool.closed


def test_every_training_has_its_own_second_try(promotion):
    failed = Counter()

    def script(job, epoch):
        failed[job.seed] += 1
        return OUT_OF_MEMORY if failed[job.seed] == 1 else steady(job, epoch)

    assert promotion.run(script)
    assert promotion.trained == [1, 1, 2, 2, 3, 3]


def test_training_whose_worker_died_goes_on_and_is_told_of(promotion):
    assert promotion.run(at(2, 3, Died(-11)))
    assert promotion.trained == [1, 2, 2, 3]
    [note] = promotion.told(Note)
    assert note.text == "trial 4, seed 2: the worker ended with exit code -11; going on from its last epoch"
    assert promotion.epochs(2) == [1, 2, 3]
    assert [e.metrics.epoch for e in promotion.told(EpochEnded) if e.number == 1] == [1, 2, 3]
    [ended] = [e for e in promotion.told(TrialEnded) if e.number == 1]
    assert (ended.state, ended.epochs) == ("complete", 3)


@pytest.mark.parametrize("epoch", [1, 2])
def test_three_deaths_without_an_epoch_between_them_end_the_promotion(promotion, epoch):
    with pytest.raises(
        SweeperError, match=r"^trial 4, seed 2 failed: .* code -11, 3 times without finishing an epoch; see "
    ):
        promotion.run(every_time(2, epoch, Died(-11)))
    assert promotion.trained == [1, 2, 2, 2]
    reason = "the worker ended with exit code -11, 3 times without finishing an epoch; see worker-0.log"
    assert promotion.states(2)[-1] == ("failed", reason)
    assert promotion.pool.closed


def test_deaths_with_an_epoch_between_them_are_forgiven(promotion):
    left = {epoch: [Died(-9), Died(-9)] for epoch in (1, 2, 3)}

    def script(job, epoch):
        return left[epoch].pop() if job.seed == 2 and left[epoch] else steady(job, epoch)

    assert promotion.run(script)
    assert promotion.trained.count(2) == 7
    assert promotion.epochs(2) == [1, 2, 3]


def test_worker_that_dies_without_a_training_is_replaced_but_not_for_ever(promotion):
    def deaths(number):
        return lambda pool: pool.messages.extend([(3, Died(1))] * number)

    with pytest.raises(SweeperError, match=r"end before they train \(exit code 1\); see worker-3\.log"):
        promotion.run(n_workers=4, prepare=deaths(3))
    assert all(promotion.states(seed)[-1][0] == "interrupted" for seed in (1, 2, 3))
    assert promotion.pool.closed
    assert promotion.run(n_workers=4, prepare=deaths(2))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit(143), RuntimeError("bug")])
def test_workers_are_closed_and_runs_interrupted_whatever_is_raised(promotion, error):
    def listener(event):
        if isinstance(event, EpochEnded) and event.number == 1:
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        promotion.run(n_workers=2, listener=listener)
    assert promotion.pool.closed
    assert not promotion.stop.saving
    assert [promotion.states(seed)[-1][0] for seed in (1, 2)] == ["interrupted", "interrupted"]


def test_checkpoint_is_forgotten_once_the_training_is_complete_and_not_before(promotion):
    stop = StopRequest()
    first, second, _ = (training.job for training in promotion.trainings)
    promotion.run(stop=stop, listener=stop_at(stop, 2, 2))
    assert (first.weights.exists(), first.checkpoint.exists()) == (True, False)
    assert (second.weights.exists(), second.checkpoint.exists()) == (False, True)
    promotion.run()
    assert (second.weights.exists(), second.checkpoint.exists()) == (True, False)


def test_checkpoint_that_was_set_aside_is_forgotten_with_the_training(promotion):
    def damaged(job, epoch):
        aside(job.checkpoint).touch()
        return steady(job, epoch)

    promotion.run(damaged)
    assert not any(aside(training.job.checkpoint).exists() for training in promotion.trainings)


def test_signal_during_the_saving_does_not_end_the_process(promotion):
    saving = []

    def prepare(pool):
        close = pool.close
        pool.close = lambda: (saving.append(promotion.stop.saving), close())

    promotion.run(prepare=prepare)
    assert saving == [True]


@pytest.mark.parametrize("message", [Failure("error", "oops"), Died(-9)])
def test_checkpoint_of_a_training_that_failed_stays(promotion, message):
    with pytest.raises(SweeperError):
        promotion.run(every_time(1, 2, message))
    assert promotion.trainings[0].job.checkpoint.exists()


def test_key_is_of_what_decides_the_weights():
    assert key_of("trial-4-refit", "a").startswith("trial-4-refit-")
    assert key_of("trial-4-refit", "a") == key_of("trial-4-refit", "a")
    assert key_of("trial-4-refit", "a") != key_of("trial-4-refit", "b")
