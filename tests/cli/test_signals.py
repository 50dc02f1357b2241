import math
import os
import signal

import pytest

from sweeper.cli import signals
from sweeper.cli.signals import signals_to
from sweeper.runs.stop import StopRequest


def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def test_with_nothing_to_save_the_first_signal_ends_the_command_and_is_named():
    stop = StopRequest()
    with pytest.raises(SystemExit) as ended, signals_to(stop):
        send(signal.SIGTERM)
    assert ended.value.code == 143
    assert (stop.reason, stop.at_once) == ("SIGTERM", False)


def test_with_something_to_save_the_first_is_a_request_and_the_second_waits_for_nothing(monkeypatch, capfd):
    monkeypatch.setattr(signals, "SAME_SIGNAL_SECONDS", 0.0)
    stop = StopRequest(saving=True)
    with signals_to(stop):
        send()
        assert (stop.reason, stop.at_once) == ("SIGINT", False)
        assert "SIGINT: recording the running epochs" in capfd.readouterr().err
        with pytest.raises(SystemExit) as ended:
            send()
    assert ended.value.code == 130
    assert stop.at_once


@pytest.mark.parametrize("saving", [True, False])
def test_signal_that_reaches_the_process_twice_at_once_is_one(saving, monkeypatch):
    monkeypatch.setattr(signals, "SAME_SIGNAL_SECONDS", math.inf)
    stop = StopRequest(saving=saving)
    with signals_to(stop):
        for _ in range(2):
            try:
                send()
            except SystemExit:
                assert not saving
    assert not stop.at_once


def test_signal_on_the_way_out_means_nothing_any_more():
    stop = StopRequest(saving=True)
    with signals_to(stop):
        send()
    send()  # a KeyboardInterrupt otherwise
    send(signal.SIGTERM)


def test_handlers_are_what_they_were_afterwards():
    before = signal.getsignal(signal.SIGINT)
    with signals_to(StopRequest()):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
