import sys
from types import SimpleNamespace

import pytest

from sweeper.display import notebook
from sweeper.display.notebook import notebook_progress
from sweeper.events import Leader, Note, State, SweepStarted, TrialEnded, TrialStarted


@pytest.fixture
def drawn(monkeypatch):
    """What a notebook was asked to show in one output of a cell, in order."""
    found = []
    handle = SimpleNamespace(update=lambda data, raw: found.append(data))

    def display(data, *, raw, display_id):
        assert (raw, display_id) == (True, True)
        found.append(data)
        return handle

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=SimpleNamespace(display=display)))
    monkeypatch.setattr(notebook, "DRAWING_SECONDS", 0.0)
    return found


def test_one_output_of_the_cell_shows_the_running_trials_and_keeps_the_end(drawn):
    with notebook_progress() as show:
        show(SweepStarted("study", 0, 2, 1, True, None))
        show(TrialStarted(0, "trial 0 (baseline)", 0, 3))
        assert "trial 0 (baseline)" in drawn[-1]["text/plain"]
        assert "0 of 3" in drawn[-1]["text/html"]
        show(TrialEnded(0, "trial 0 (baseline)", State.COMPLETE, 0.5, 3))
        show(Note("said <b>once</b>"))
    last = drawn[-1]
    assert "study: 1 of 2 trials" in last["text/plain"]
    assert "best accuracy 50.00 % (trial 0 (baseline))" in last["text/plain"]
    assert "images/s" not in last["text/plain"]
    assert last["text/plain"].startswith("said <b>once</b>\n")
    assert "said &lt;b&gt;once&lt;/b&gt;" in last["text/html"]


def test_view_is_not_drawn_more_often_than_it_is_seen(drawn, monkeypatch):
    monkeypatch.setattr(notebook, "DRAWING_SECONDS", 3600.0)
    with notebook_progress() as show:
        for number in range(100):
            show(SweepStarted("study", number, 100, 1, True, Leader("trial 0", 0.5)))
    assert len(drawn) <= 3


def test_what_is_drawn_goes_to_the_cell_alone(drawn, capfd):
    with notebook_progress() as show:
        show(SweepStarted("study", 0, 2, 1, True, None))
    assert capfd.readouterr() == ("", "")
