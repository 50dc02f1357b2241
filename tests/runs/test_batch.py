import math
from collections import Counter
from dataclasses import replace

import pytest

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.engine.base import Died, Failure
from sweeper.engine.execution import Execution
from sweeper.engine.job import TrialJob
from sweeper.errors import SweeperError
from sweeper.events import EpochEnded, Note, SweepStarted, TrialEnded, TrialInterrupted, TrialStarted
from sweeper.runs import processor_file
from sweeper.runs.batch import BatchRunner, Training
from sweeper.runs.stop import StopRequest
from sweeper.store.options import StoreOptions
from sweeper.training.checkpoint import aside
from tests.engine.fakes import FakePool, FakeTracker, metrics

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


class Commands:
    """Three trainings, seeds 1 to 3, and the tracker that the commands of one store share."""

    def __init__(self, folder):
        self.folder, self.store = folder, StoreOptions(folder).resolve({})
        self.tracker = FakeTracker()
        self.trainings = [self.training(seed) for seed in (1, 2, 3)]

    def training(self, seed):
        job = TrialJob(4, Configuration(ConvNetConfig(), TrainConfig()), 3, seed, self.folder, "data")
        key = f"trial-4-seed-{seed}"
        job = replace(job, folder=self.folder / key)
        return Training(key, f"trial 4, seed {seed}", job, {"sweeper.part": "train"}, {"config.json": "{}"})

    def run(self, script=steady, *, n_workers=1, share=None, stop=None, listener=None, prepare=None, trainings=None):
        """One command."""
        self.pool, self.stop, self.events, self.executions = None, stop or StopRequest(), [], []

        def tell(event):
            self.events.append(event)
            if listener:
                listener(event)

        def start_workers(execution):
            self.executions.append(execution)
            self.pool = FakePool(script, len(execution.devices))
            if prepare:
                prepare(self.pool)
            return self.pool

        execution = Execution(("cuda:0",) * n_workers, 1, "channels_last", gpu_memory=share)
        self.runner = BatchRunner(
            self.store, "study", ("a", "b"), self.tracker, tell, self.stop, execution, self.folder / "processor.txt"
        )
        done = self.runner.run(trainings or self.trainings, "fresh seed", start_workers)
        assert share or len(self.executions) < 2, "the workers are started twice"
        return done

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
def commands(tmp_path):
    return Commands(tmp_path)


def test_every_training_is_a_run_with_its_name_parameters_tags_and_texts(commands):
    commands.tracker.draws = True
    assert commands.run()
    assert commands.trained == [1, 2, 3]
    for training in commands.trainings:
        name, params, tags = commands.tracker.children[training.key]
        assert (name, tags) == (training.name, {"sweeper.part": "train"})
        assert params == {**training.job.configuration.values(), "epochs": 3, "seed": training.job.seed}
        assert commands.tracker.texts[training.key] == {"config.json": "{}"}
        assert commands.tracker.figures[training.key] == [
            "curves/learning_curves.png",
            "confusion/validation_confusion_matrix.png",
        ]
        assert commands.tracker.states[training.key] == [("running", ""), ("complete", "")]
        assert commands.tracker.epochs[training.key] == [1, 2, 3]
    assert commands.pool.closed
    assert not commands.runner.diverged


def test_events_tell_what_is_trained_and_what_came_of_it(commands):
    commands.run(n_workers=2)
    [started] = commands.told(SweepStarted)
    assert (started.study, started.noun, started.done, started.total) == ("study", "fresh seed", 0, 3)
    assert (started.n_workers, started.maximize, started.best) == (2, None, None)
    assert {event.epochs for event in commands.told(TrialStarted)} == {3}
    assert [(e.number, e.name, e.from_epoch) for e in commands.told(TrialStarted)] == [
        (number, f"trial 4, seed {number + 1}", 0) for number in range(3)
    ]
    ended = sorted(commands.told(TrialEnded), key=lambda event: event.number)
    assert [(e.number, e.state, e.epochs, e.reason) for e in ended] == [(n, "complete", 3, "") for n in range(3)]
    assert [e.value for e in ended] == pytest.approx([0.513, 0.523, 0.533])
    for number in range(3):
        assert [e.metrics.epoch for e in commands.told(EpochEnded) if e.number == number] == [1, 2, 3]


def test_refits_show_no_validation_value_and_log_none(commands):
    def refit(job, epoch):
        return replace(
            metrics(epoch, 0.5),
            validation_loss=math.nan,
            validation_accuracy=math.nan,
            validation_macro_f1=math.nan,
            validation_balanced_accuracy=math.nan,
        )

    assert commands.run(refit)
    assert [(e.state, e.value, e.epochs) for e in commands.told(TrialEnded)] == [("complete", None, 3)] * 3
    logged = commands.tracker.values[commands.trainings[0].key]
    assert len(logged) == 3
    assert all("train_loss" in values and not any(n.startswith("validation") for n in values) for values in logged)


def test_workers_train_side_by_side_and_each_is_given_the_next_in_line(commands):
    assert commands.run(n_workers=2)
    assert commands.trained == [1, 2, 3]
    numbers = [e.number for e in commands.told(EpochEnded)]
    assert numbers.index(1) < 3  # the second does not wait for the first to end


def test_repeated_command_starts_no_workers_and_tells_nothing(commands):
    commands.run()
    assert commands.run()
    assert commands.pool is None
    assert not commands.events
    assert all(len(states) == 2 for states in commands.tracker.states.values())


def test_done_trainings_are_skipped_and_counted(commands):
    commands.run(trainings=commands.trainings[1:2])
    assert commands.run()
    assert commands.trained == [1, 3]
    [started] = commands.told(SweepStarted)
    assert (started.done, started.total) == (1, 3)
    # The numbers are those of the whole list, whatever was done before.
    assert [e.number for e in commands.told(TrialEnded)] == [0, 2]


def of_another_identity(job):
    other = replace(job, data_key="other data", folder=job.folder.with_name("other"))
    pool = FakePool(steady)
    pool.train(0, other)
    for _ in range(3):
        pool.answer(0, proceed=True)
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
def test_training_without_its_own_whole_weights_is_trained_again(commands, spoil):
    commands.run()
    spoil(commands.trainings[1].job)
    assert commands.run()
    assert commands.trained == [2]
    assert commands.run()
    assert commands.pool is None


@pytest.mark.parametrize("last", [("running", ""), ("interrupted", "SIGINT"), None])
def test_training_whose_end_mlflow_has_not_heard_of_is_trained_again(commands, last):
    commands.run()
    commands.tracker.states[commands.trainings[1].key] = [last] if last else []
    if last is None:
        del commands.tracker.states[commands.trainings[1].key]
    assert commands.run()
    assert commands.trained == [2]
    assert commands.states(2)[-1] == ("complete", "")
    assert commands.epochs(2) == [1, 2, 3]


def stop_at(stop, seed, epoch):
    """A listener that requests a stop when this epoch of this seed has ended."""

    def listener(event):
        if isinstance(event, EpochEnded) and (event.number + 1, event.metrics.epoch) == (seed, epoch):
            stop.reason = "SIGINT"

    return listener


def test_stop_interrupts_what_is_running_and_the_next_command_goes_on_with_it(commands):
    stop = StopRequest()
    assert not commands.run(n_workers=2, stop=stop, listener=stop_at(stop, 1, 2))
    assert commands.trained == [1, 2]
    assert {e.number for e in commands.told(TrialInterrupted)} == {0, 1}
    assert commands.states(1) == commands.states(2) == [("running", ""), ("interrupted", "SIGINT")]
    assert commands.states(3) == []
    assert commands.pool.closed

    assert commands.run()
    assert commands.trained == [1, 2, 3]
    assert commands.told(TrialStarted)[0].from_epoch == 2
    # What a checkpoint brings back is no news.
    assert [e.metrics.epoch for e in commands.told(EpochEnded) if e.number == 0] == [3]
    assert [commands.epochs(seed) for seed in (1, 2, 3)] == [[1, 2, 3]] * 3  # no epoch is logged twice


def test_stop_at_the_last_epoch_lets_the_training_finish(commands):
    stop = StopRequest()
    assert not commands.run(stop=stop, listener=stop_at(stop, 1, 3))
    assert commands.states(1)[-1] == ("complete", "")
    assert not commands.told(TrialInterrupted)
    assert commands.trained == [1]


def test_stop_at_the_very_end_comes_too_late_to_leave_anything_undone(commands):
    stop = StopRequest()
    assert commands.run(stop=stop, listener=stop_at(stop, 3, 3))


def test_stop_in_the_last_training_leaves_it_to_the_next_command(commands):
    stop = StopRequest()
    assert not commands.run(stop=stop, listener=stop_at(stop, 3, 2))
    assert commands.states(3)[-1] == ("interrupted", "SIGINT")
    assert commands.run()
    assert commands.trained == [3]


def test_stop_before_the_workers_are_there_trains_nothing(commands):
    assert not commands.run(stop=StopRequest("SIGTERM"))
    assert commands.pool.closed
    assert not commands.pool.jobs
    assert not commands.tracker.states


def test_stop_that_another_process_requests_ends_with_the_running_epochs(commands):
    def listener(event):
        if isinstance(event, EpochEnded) and (event.number, event.metrics.epoch) == (1, 1):
            commands.store.request_stop("study")

    with commands.store.owning("study"):
        assert not commands.run(listener=listener)
    assert commands.stop.reason == "sweeper stop"
    assert commands.states(2)[-1] == ("interrupted", "sweeper stop")
    assert commands.trained == [1, 2]


def test_full_disk_ends_them_all_and_the_next_command_goes_on(commands):
    full = Failure("disk_full", "model.safetensors cannot be written: No space left on device")
    with pytest.raises(SweeperError, match=r"^model\.safetensors cannot be written: .* resumes once there is room"):
        commands.run(at(2, 2, full), n_workers=2)
    assert commands.states(2)[-1][0] == "interrupted"
    assert commands.pool.closed
    assert commands.run()
    assert commands.epochs(2) == [1, 2, 3]


@pytest.mark.parametrize("message", [Died(-15), OUT_OF_MEMORY])
def test_training_put_back_in_line_is_interrupted_when_a_stop_comes(commands, message):
    stop = StopRequest()

    def script(job, epoch):
        if (job.seed, epoch) == (2, 2):
            stop.reason = "SIGTERM"
            return message
        return steady(job, epoch)

    assert not commands.run(script, stop=stop)
    assert commands.states(2)[-1] == ("interrupted", "SIGTERM")
    assert [e.number for e in commands.told(TrialInterrupted)] == [1]
    assert commands.states(3) == []
    assert commands.run()
    assert commands.trained == [2, 3]
    assert commands.epochs(2) == [1, 2, 3]


def test_signal_handler_knows_when_there_is_something_to_save(commands):
    seen = []

    def script(job, epoch):
        seen.append(commands.stop.saving)
        return steady(job, epoch)

    commands.run(script)
    assert seen
    assert all(seen)
    assert not commands.stop.saving


def test_diverged_training_is_pruned_with_its_reason_and_stops_no_other(commands):
    reason = "the training loss of epoch 2 is nan"
    script = every_time(2, 2, Failure("diverged", reason))
    assert commands.run(script)
    assert commands.runner.diverged == {commands.trainings[1].key: reason}
    assert commands.states(2)[-1] == ("pruned", f"diverged: {reason}")
    assert commands.states(1)[-1] == commands.states(3)[-1] == ("complete", "")
    ended = commands.told(TrialEnded)[1]
    assert (ended.number, ended.state, ended.epochs, ended.reason) == (1, "pruned", 1, f"diverged: {reason}")
    assert commands.trainings[1].job.checkpoint.exists()

    # Nothing else remembers the reason: the next command finds it again, and only that.
    assert commands.run(script)
    assert commands.trained == [2]
    assert commands.runner.diverged == {commands.trainings[1].key: reason}
    assert commands.epochs(2) == [1]


def test_training_that_diverges_in_its_first_epoch_is_pruned_too(commands):
    assert commands.run(every_time(1, 1, Failure("diverged", "the training loss of epoch 1 is inf")))
    ended = commands.told(TrialEnded)[0]
    assert (ended.state, ended.value, ended.epochs) == ("pruned", None, 0)


def test_error_ends_them_all_and_names_the_training_and_the_log(commands):
    with pytest.raises(SweeperError, match=r"^trial 4, seed 1 failed: KeyError: 'x'; see worker-0\.log$"):
        commands.run(every_time(1, 2, Failure("error", "KeyError: 'x'", "trace")), n_workers=2)
    assert commands.states(1)[-1] == ("failed", "KeyError: 'x'; see worker-0.log")
    assert commands.states(2)[-1][0] == "interrupted"  # it is running in the other worker
    assert [e.number for e in commands.told(TrialInterrupted)] == [1]
    assert commands.states(3) == []
    assert commands.pool.closed
    assert not commands.stop.saving

    assert commands.run()
    assert commands.trained == [1, 2, 3]
    assert [commands.epochs(seed) for seed in (1, 2, 3)] == [[1, 2, 3]] * 3


def test_out_of_memory_gets_one_more_try(commands):
    assert commands.run(at(1, 2, OUT_OF_MEMORY))
    assert commands.trained == [1, 1, 2, 3]
    assert commands.states(1)[-1] == ("complete", "")
    assert commands.epochs(1) == [1, 2, 3]
    [ended] = [e for e in commands.told(TrialEnded) if e.number == 0]
    assert ended.epochs == 3


@pytest.mark.parametrize("own_fault", [True, False])
def test_training_that_needs_more_than_its_share_of_a_gpu_gets_larger_shares_up_to_all_of_it(commands, own_fault):
    """In the search it had more: the number of processes followed from the number of trials."""

    def script(job, epoch):
        lacks = (job.seed, epoch) == (2, 2) and len(commands.executions) < 3
        return replace(OUT_OF_MEMORY, own_fault=own_fault) if lacks else steady(job, epoch)

    assert commands.run(script, n_workers=4, share=6)
    assert [(len(e.devices), e.gpu_memory) for e in commands.executions] == [(4, 6), (2, 12), (1, None)]
    assert commands.pool.closed
    assert [commands.epochs(seed) for seed in (1, 2, 3)] == [[1, 2, 3]] * 3
    assert [commands.states(seed)[-1] for seed in (1, 2, 3)] == [("complete", "")] * 3
    notes = [e.text for e in commands.told(Note)]
    assert [note.split("; ")[1] for note in notes] == [
        "from now on 2 trainings run at once, each with more of a GPU's memory",
        "from now on one training runs at a time, with all of the GPU's memory",
    ]


def test_training_that_needs_more_than_all_of_a_gpu_ends_them_all(commands):
    lacks = replace(OUT_OF_MEMORY, own_fault=True)
    with pytest.raises(SweeperError, match=r"seed 2 failed: CUDA out of memory; see worker-0\.log"):
        commands.run(every_time(2, 2, lacks), n_workers=4, share=6)
    assert len(commands.executions) == 3
    assert commands.states(2)[-1][0] == "failed"


def test_training_that_diverged_is_not_trained_again_with_larger_shares(commands):
    def script(job, epoch):
        if job.seed == 1:
            return Failure("diverged", "loss is nan")
        return replace(OUT_OF_MEMORY, own_fault=True) if len(commands.executions) < 2 else steady(job, epoch)

    assert commands.run(script, n_workers=2, share=6)
    assert commands.trained == [2, 3]
    assert list(commands.runner.diverged) == [commands.trainings[0].key]


def test_stop_beside_a_lack_of_memory_ends_the_command(commands):
    def script(job, epoch):
        commands.stop.reason = "SIGTERM"
        return replace(OUT_OF_MEMORY, own_fault=True)

    assert not commands.run(script, n_workers=2, share=6)
    assert len(commands.executions) == 1
    assert commands.states(1)[-1] == ("interrupted", "SIGTERM")


def test_out_of_memory_twice_ends_them_all(commands):
    # Fewer --jobs would not help: no other training was beside it.
    said = "seed 1 failed: out of memory twice, .*: CUDA out of memory; with more free memory, the same command goes on"
    with pytest.raises(SweeperError, match=said):
        commands.run(at(1, 2, OUT_OF_MEMORY, OUT_OF_MEMORY))
    assert commands.trained == [1, 1]
    assert commands.states(1)[-1][0] == "failed"
    assert commands.pool.closed


def test_fewer_jobs_are_advised_where_others_train_beside_the_one_that_lacks_memory(commands):
    def script(job, epoch):
        # The others wait in their first epoch.
        return OUT_OF_MEMORY if job.seed == 1 else None

    with pytest.raises(SweeperError, match="with more free memory or fewer --jobs, the same command goes on; see"):
        commands.run(script, n_workers=2)


def test_every_training_has_its_own_second_try(commands):
    failed = Counter()

    def script(job, epoch):
        failed[job.seed] += 1
        return OUT_OF_MEMORY if failed[job.seed] == 1 else steady(job, epoch)

    assert commands.run(script)
    assert commands.trained == [1, 1, 2, 2, 3, 3]


def test_training_whose_worker_died_goes_on_and_is_told_of(commands):
    assert commands.run(at(2, 3, Died(-11)))
    assert commands.trained == [1, 2, 2, 3]
    [note] = commands.told(Note)
    assert note.text == "trial 4, seed 2: the worker ended with exit code -11; resuming from its last epoch"
    assert commands.epochs(2) == [1, 2, 3]
    assert [e.metrics.epoch for e in commands.told(EpochEnded) if e.number == 1] == [1, 2, 3]
    [ended] = [e for e in commands.told(TrialEnded) if e.number == 1]
    assert (ended.state, ended.epochs) == ("complete", 3)


@pytest.mark.parametrize("epoch", [1, 2])
def test_three_deaths_without_an_epoch_between_them_end_the_promotion(commands, epoch):
    with pytest.raises(
        SweeperError, match=r"^trial 4, seed 2 failed: .* code -11, 3 times without finishing an epoch; see "
    ):
        commands.run(every_time(2, epoch, Died(-11)))
    assert commands.trained == [1, 2, 2, 2]
    reason = "the worker ended with exit code -11, 3 times without finishing an epoch; see worker-0.log"
    assert commands.states(2)[-1] == ("failed", reason)
    assert commands.pool.closed


def test_deaths_with_an_epoch_between_them_are_forgiven(commands):
    left = {epoch: [Died(-9), Died(-9)] for epoch in (1, 2, 3)}

    def script(job, epoch):
        return left[epoch].pop() if job.seed == 2 and left[epoch] else steady(job, epoch)

    assert commands.run(script)
    assert commands.trained.count(2) == 7
    assert commands.epochs(2) == [1, 2, 3]


def test_worker_that_dies_without_a_training_is_replaced_but_not_for_ever(commands):
    def deaths(number):
        return lambda pool: pool.messages.extend((3 + n, Died(1)) for n in range(number))

    with pytest.raises(SweeperError, match=r"end before they train \(exit code 1\); see worker-5\.log"):
        commands.run(n_workers=6, prepare=deaths(3))
    assert all(commands.states(seed)[-1][0] == "interrupted" for seed in (1, 2, 3))
    assert commands.pool.closed
    assert commands.run(n_workers=6, prepare=deaths(2))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit(143), RuntimeError("bug")])
def test_workers_are_closed_and_runs_interrupted_whatever_is_raised(commands, error):
    def listener(event):
        if isinstance(event, EpochEnded) and event.number == 1:
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        commands.run(n_workers=2, listener=listener)
    assert commands.pool.closed
    assert not commands.stop.saving
    assert [commands.states(seed)[-1][0] for seed in (1, 2)] == ["interrupted", "interrupted"]


def test_checkpoint_is_forgotten_once_the_training_is_complete_and_not_before(commands):
    stop = StopRequest()
    first, second, _ = (training.job for training in commands.trainings)
    commands.run(stop=stop, listener=stop_at(stop, 2, 2))
    assert (first.weights.exists(), first.checkpoint.exists()) == (True, False)
    assert (second.weights.exists(), second.checkpoint.exists()) == (False, True)
    commands.run()
    assert (second.weights.exists(), second.checkpoint.exists()) == (True, False)


def test_checkpoint_that_was_set_aside_is_forgotten_with_the_training(commands):
    def damaged(job, epoch):
        aside(job.checkpoint).touch()
        return steady(job, epoch)

    commands.run(damaged)
    assert not any(aside(training.job.checkpoint).exists() for training in commands.trainings)


def test_signal_during_the_saving_does_not_end_the_process(commands):
    saving = []

    def prepare(pool):
        close = pool.close
        pool.close = lambda: (saving.append(commands.stop.saving), close())

    commands.run(prepare=prepare)
    assert saving == [True]


@pytest.mark.parametrize("message", [Failure("error", "oops"), Died(-9)])
def test_checkpoint_of_a_training_that_failed_stays(commands, message):
    with pytest.raises(SweeperError):
        commands.run(every_time(1, 2, message))
    assert commands.trainings[0].job.checkpoint.exists()


def test_training_that_is_for_mlflow_alone_leaves_only_what_came_of_it(commands):
    trainings = [replace(training, to_mlflow=True) for training in commands.trainings]
    commands.run(trainings=trainings)
    assert commands.tracker.weights == {training.key for training in trainings}
    for training in trainings:
        assert [path.name for path in training.job.folder.iterdir()] == ["trained.json"]
        outcome = commands.runner.outcome(training)
        assert [metrics.epoch for metrics in outcome.history] == [1, 2, 3]
        assert outcome.history[-1].validation_accuracy == steady(training.job, 3)
        assert outcome.result.confusion.tolist() == [[1, 0], [0, 1]]
    assert commands.run(trainings=trainings)
    assert commands.pool is None

    # Who has deleted the run wants another.
    commands.tracker.run_id = "another run"
    assert commands.run(trainings=trainings)
    assert commands.trained == [1, 2, 3]


def test_training_that_is_the_trackers_own_run_is_neither_made_nor_ended_here(commands):
    training = replace(commands.trainings[0], key="", to_mlflow=True)
    commands.tracker.forget = lambda key, path: path.unlink(missing_ok=True)
    assert commands.run(trainings=[training])
    assert commands.tracker.epochs == {None: [1, 2, 3]}
    assert commands.tracker.weights == {None}
    assert not commands.tracker.children
    assert not commands.tracker.states


def test_trainings_wait_for_a_place_and_none_is_waited_for_at_the_end(commands):
    def lose_all(event):
        if isinstance(event, TrialEnded) and event.number == 2:
            commands.pool.placeless = {0}

    def prepare(pool):
        pool.places = {0: "node-1"}
        pool.lack_places({0}, ["waiting for 1 CPU", ""])

    assert commands.run(prepare=prepare, listener=lose_all)
    assert commands.trained == [1, 2, 3]
    assert [event.place for event in commands.told(TrialStarted)] == ["node-1"] * 3
    assert [event.text for event in commands.told(Note)] == ["waiting for 1 CPU"]


def test_kind_of_processor_is_kept_beside_the_trainings_and_another_is_told(commands):
    commands.run(trainings=commands.trainings[:1])
    assert processor_file.read(commands.folder / "processor.txt") == "x"
    assert not commands.told(Note)
    commands.run(prepare=lambda pool: setattr(pool, "processor", "y"))
    assert processor_file.read(commands.folder / "processor.txt") == "x"
    [note] = commands.told(Note)
    assert note.text.startswith("Trained on x so far, and on y from now on")


def test_trainings_that_have_no_place_can_be_stopped(commands):
    def prepare(pool):
        pool.lack_places({0}, ["waiting for 1 CPU"] * 9)
        pass_time = pool.on_wait
        pool.on_wait = lambda: (pass_time(), setattr(commands.stop, "reason", "SIGTERM"))

    assert not commands.run(prepare=prepare)
    assert commands.trained == []
