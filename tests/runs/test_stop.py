import pytest

from sweeper.runs.stop import StopRequest, closing_patience
from sweeper.store.options import StoreOptions
from sweeper.tracking.patience import HURRIED


@pytest.fixture
def store(tmp_path):
    return StoreOptions(tmp_path).resolve({})


@pytest.mark.parametrize(("reason", "code"), [("SIGHUP", 129), ("SIGINT", 130), ("SIGUSR1", 138), ("SIGTERM", 143)])
def test_signal_ends_the_command_between_two_steps_with_its_code(reason, code):
    stop = StopRequest(reason)
    with pytest.raises(SystemExit) as ended:
        stop.check()
    assert ended.value.code == code
    assert stop.saving  # the command now ends by itself, so that a second signal is a request to hurry


@pytest.mark.parametrize("reason", ["", "timeout", "target", "sweeper stop"])
def test_other_reasons_end_no_command_between_two_steps(reason):
    StopRequest(reason).check()


def test_poll_ends_a_command_whose_user_has_asked_twice_and_no_other(store):
    StopRequest("SIGINT", saving=True).poll(store, "study")
    with pytest.raises(SystemExit) as ended:
        StopRequest("SIGINT", saving=True, at_once=True).poll(store, "study")
    assert ended.value.code == 130


@pytest.mark.parametrize(("reason", "patience"), [("SIGHUP", HURRIED), ("SIGUSR1", HURRIED), ("", None)])
def test_after_any_signal_mlflow_is_waited_for_only_shortly(reason, patience):
    assert closing_patience(reason) == patience


def test_signal_asks_to_stop_then_to_stop_at_once_and_then_to_end(monkeypatch):
    monkeypatch.setattr("sweeper.runs.stop.SAME_SIGNAL_SECONDS", 0.0)
    stop = StopRequest(saving=True)
    assert [stop.receive("SIGTERM"), stop.receive("SIGINT"), stop.receive("SIGINT")] == ["stop", "stop at once", "end"]
    assert (stop.reason, stop.at_once) == ("SIGINT", True)


def test_second_signal_ends_what_has_nothing_to_save_unless_it_is_the_first_come_twice(monkeypatch):
    stop = StopRequest()
    assert [stop.receive("SIGINT"), stop.receive("SIGINT")] == ["stop", ""]
    monkeypatch.setattr("sweeper.runs.stop.SAME_SIGNAL_SECONDS", 0.0)
    assert stop.receive("SIGINT") == "end"
    assert not stop.at_once
