import math
import os
import signal

import pytest

from sweeper.cli import signals
from sweeper.cli.signals import signals_to
from sweeper.process.signals import SIGNALS
from sweeper.runs.stop import StopRequest


class Ended(Exception):
    """The process would have ended here."""


@pytest.fixture
def ends(monkeypatch):
    """The calls that would have ended the process."""
    calls = []

    def end_now(*call):
        calls.append(call)
        raise Ended

    monkeypatch.setattr(signals, "end_now", end_now)
    return calls


def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_a_request_and_raises_nothing_where_it_arrives(number, capfd):
    stop = StopRequest()
    with signals_to(stop):
        send(number)
    assert (stop.reason, stop.at_once, stop.saving) == (number.name, False, False)
    assert capfd.readouterr().err == ""  # the end of the command is told when it ends


def test_with_nothing_to_save_the_second_signal_ends_the_process_where_it_is(monkeypatch, ends):
    monkeypatch.setattr("sweeper.runs.stop.SAME_SIGNAL_SECONDS", 0.0)
    with signals_to(StopRequest()):
        send(signal.SIGTERM)
        with pytest.raises(Ended):
            send(signal.SIGTERM)
    assert ends == [(signal.SIGTERM, signals.ADVICE)]


def test_with_something_to_save_the_first_is_a_request_and_the_third_ends_the_process(monkeypatch, capfd, ends):
    monkeypatch.setattr("sweeper.runs.stop.SAME_SIGNAL_SECONDS", 0.0)
    stop = StopRequest(saving=True)
    with signals_to(stop):
        send()
        assert (stop.reason, stop.at_once) == ("SIGINT", False)
        assert capfd.readouterr().err == "SIGINT: recording the running epochs; a second signal stops at once\n"
        send()
        assert stop.at_once
        assert ends == []
        with pytest.raises(Ended):
            send()
    assert ends == [(signal.SIGINT, signals.ADVICE)]


@pytest.mark.parametrize("saving", [True, False])
def test_signal_that_reaches_the_process_twice_at_once_is_one(saving, monkeypatch, ends):
    monkeypatch.setattr("sweeper.runs.stop.SAME_SIGNAL_SECONDS", math.inf)
    stop = StopRequest(saving=saving)
    with signals_to(stop):
        send()
        send()
    assert not stop.at_once
    assert ends == []


def test_signal_on_the_way_out_means_nothing_any_more():
    stop = StopRequest(saving=True)
    with signals_to(stop):
        send()
    for number in SIGNALS:
        send(number)  # a KeyboardInterrupt or the end of this process otherwise


def test_hangup_that_nohup_ignores_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = StopRequest(saving=True)
    with signals_to(stop):
        send(signal.SIGHUP)
    assert stop.reason == ""


def test_handlers_are_what_they_were_afterwards():
    before = [signal.getsignal(number) for number in SIGNALS]
    with signals_to(StopRequest()):
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
