import getpass

import pytest

from sweeper.tracking.user import user_tag

NAMES = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """No user of a server is named, neither in variables nor in MLflow's file of credentials."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_run_is_of_the_login_name_as_mlflow_has_it(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    assert user_tag() == {"mlflow.user": "ada"}


def test_the_user_of_mlflows_server_comes_first(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    for name, value in zip(NAMES, ("grace", "secret"), strict=True):
        monkeypatch.setenv(name, value)
    assert user_tag() == {"mlflow.user": "grace"}


@pytest.mark.parametrize(
    "error", [KeyError("getpwuid(): uid not found: 4711"), OSError("No username set"), ImportError]
)
def test_a_user_without_a_name_is_unknown(monkeypatch, error):
    def getuser():
        raise error

    monkeypatch.setattr(getpass, "getuser", getuser)
    assert user_tag() == {"mlflow.user": "unknown"}
