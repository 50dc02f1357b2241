import optuna
import pytest

from sweeper.errors import SweeperError
from sweeper.studies import attributes, processor


def test_first_kind_is_kept_and_another_is_told():
    study = optuna.create_study()
    assert processor.of(study) == ""
    assert processor.record(study, "x") == ""
    assert processor.record(study, "x") == ""
    assert "on x so far, and on y" in processor.record(study, "y")
    assert processor.of(study) == "x"


def test_kind_of_another_type_is_refused():
    study = optuna.create_study()
    study.set_user_attr(attributes.PROCESSOR, ["x"])
    with pytest.raises(SweeperError, match="processor"):
        attributes.check_attributes(study)
