import pytest

from sweeper.errors import SweeperError
from sweeper.model_files import packages


def test_packages_that_are_missing_are_named_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name != "onnx" else object())
    with pytest.raises(SweeperError) as refused:
        packages.check_packages()
    assert str(refused.value) == (
        "ONNX files need packages that are not installed (onnxruntime, onnxscript): "
        "`pip install 'cnn-sweeper[onnx]'`, or `pip install onnxruntime onnxscript`"
    )


def test_packages_of_the_tests_are_all_there():
    packages.check_packages()
