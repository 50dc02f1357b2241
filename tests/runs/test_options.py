from sweeper.config import Protocol
from sweeper.runs.options import TrainingOptions


def test_only_given_options_override_the_protocol():
    default = Protocol(epochs=5, folds=3, repeats=2, confirm=0.2)
    assert TrainingOptions().protocol(default) == default
    changed = TrainingOptions(epochs=9, folds=0).protocol(default)
    assert changed == Protocol(epochs=9, folds=0, repeats=2, confirm=0.2)
