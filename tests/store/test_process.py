import os
import subprocess
import sys
from dataclasses import replace

import pytest

from sweeper.store import process
from sweeper.store.process import this_process
from tests.commands.processes import wait_for


def test_this_process_lives():
    assert this_process().lives() is True
    assert this_process().pid == os.getpid()


def test_process_with_the_pid_of_an_ended_one_is_not_taken_for_it():
    assert replace(this_process(), started=this_process().started + 1).lives() is False


def test_ended_process_does_not_live_though_nobody_has_waited_for_it():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = process._started(child.pid)
    assert began is not None
    of_child = replace(this_process(), pid=child.pid, started=began)
    assert of_child.lives() is True
    child.kill()
    wait_for("its end", lambda: of_child.lives() is False)
    child.wait()
    assert of_child.lives() is False


@pytest.mark.parametrize("machine", ["", "another boot pid:[1]"])
def test_process_of_another_machine_or_container_cannot_be_asked_for(machine):
    assert replace(this_process(), machine=machine).lives() is None


def test_system_that_tells_nothing_of_processes_leaves_it_open(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "PROC", tmp_path)
    assert this_process().machine == ""
    assert this_process().lives() is None
