import optuna
import pytest

from sweeper.config import Configuration
from sweeper.errors import SweeperError
from sweeper.events import State
from sweeper.studies import network_input
from sweeper.studies.attributes import SPEC
from sweeper.studies.network_input import NETWORK_INPUT, NetworkInput
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord
from tests.sweep.sweeps import SPEC as FIELDS


def study(dataset):
    made = optuna.create_study()
    made.set_user_attr(SPEC, StudySpec.from_json(FIELDS | {"dataset": dataset}).as_json())
    return made


def trial(n_parameters):
    configuration = Configuration.from_values({"padding": (2, 0, 0)})
    return TrialRecord(0, State.COMPLETE, 0.9, {}, "baseline", configuration, "", True, 0, 3, n_parameters=n_parameters)


def test_what_the_search_has_stored_is_read_again():
    made, found = study("mine"), NetworkInput((3, 32, 24), 7, 500)
    network_input.record(made, found)
    assert network_input.of(made, []) == found


def test_in_a_study_of_an_older_version_the_known_data_set_counts_if_its_trials_have_such_networks():
    assert network_input.of(study("fashion_mnist"), [trial(61_706)]) == NetworkInput((1, 28, 28), 10, None)


@pytest.mark.parametrize(("dataset", "trials"), [("mine", [trial(61_706)]), ("mnist", [trial(1)]), ("mnist", [])])
def test_what_an_older_version_did_not_store_and_nothing_tells_is_no_guess(dataset, trials):
    with pytest.raises(SweeperError, match="by an older sweeper, which did not note the size of its images"):
        network_input.of(study(dataset), trials)


def test_damaged_values_are_refused():
    made = study("mnist")
    made.set_user_attr(NETWORK_INPUT, {"input_shape": [1, 28], "n_classes": 10})
    with pytest.raises(SweeperError, match="network_input"):
        network_input.of(made, [])
