import pytest

from sweeper.engine.watchdog import FACTOR, LEAST_SECONDS, MOST_STEP, START_SECONDS, Watchdog


class Time:
    """A clock that a test moves, and a watchdog that looks at it twice a second."""

    def __init__(self):
        self.clock = 1000.0
        self.watchdog = Watchdog(lambda: self.clock)

    def passes(self, seconds):
        for _ in range(round(2 * seconds)):
            self.clock += 0.5
            self.watchdog.advance()

    def knows_epochs(self):
        """A worker that trains, and whose epochs are known."""
        self.watchdog.expect(0, starts=True)
        self.watchdog.hear(0)
        self.watchdog.end_epoch()
        return self


@pytest.fixture
def time():
    return Time()


def test_worker_hangs_when_nothing_came_for_a_minute(time):
    time.knows_epochs()
    time.passes(LEAST_SECONDS)
    assert time.watchdog.complaint(0, 0) == ""
    time.passes(0.5)
    assert time.watchdog.complaint(0, 0) == "nothing came from it for 60 s, 60 s is the limit"
    time.watchdog.hear(0)
    assert time.watchdog.complaint(0, 0) == ""


def test_worker_that_starts_has_more_time_and_so_has_the_first_epoch_of_all(time):
    time.watchdog.expect(0, starts=True)
    time.passes(START_SECONDS)
    assert time.watchdog.complaint(0, 0) == ""
    time.watchdog.hear(0)
    time.watchdog._longest_start = 0.0
    time.passes(START_SECONDS)
    assert time.watchdog.complaint(0, 0) == ""
    time.passes(0.5)
    assert "120 s is the limit" in time.watchdog.complaint(0, 0)


def test_silence_of_slow_trainings_is_expected_of_others_too(time):
    time.knows_epochs()
    time.passes(20)
    time.watchdog.hear(0)
    time.watchdog.expect(1)
    time.passes(20 * FACTOR)
    assert time.watchdog.complaint(1, 0) == ""
    time.passes(0.5)
    assert "200 s is the limit" in time.watchdog.complaint(1, 0)


def test_slow_start_is_expected_of_later_starts_but_not_of_trainings(time):
    time.watchdog.expect(0, starts=True)
    time.passes(40)
    time.watchdog.hear(0)
    time.watchdog.end_epoch()
    time.watchdog.expect(1, starts=True)
    time.passes(399)
    assert time.watchdog.complaint(1, 0) == ""
    assert "60 s is the limit" in time.watchdog.complaint(0, 0)


def test_suspended_machine_or_command_makes_no_worker_hang(time):
    time.knows_epochs()
    time.clock += 36_000
    time.watchdog.advance()
    assert time.watchdog.now <= MOST_STEP
    assert time.watchdog.complaint(0, 0) == ""


def test_every_death_doubles_the_limit(time):
    time.knows_epochs()
    time.passes(4 * LEAST_SECONDS)
    assert time.watchdog.complaint(0, 1)
    assert not time.watchdog.complaint(0, 2)
