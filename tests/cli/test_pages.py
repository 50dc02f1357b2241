import importlib.util

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.cli.pages import OF_COMMANDS, OF_ERRORS, of_error
from tests.cli.test_help import COMMANDS, ROOT


def test_every_command_has_a_page_and_no_other():
    assert set(OF_COMMANDS) == {" ".join(path) for path, _ in COMMANDS.values()}


@pytest.mark.parametrize("module", OF_ERRORS)
def test_modules_and_pages_of_errors_exist(module):
    assert importlib.util.find_spec(module) is not None
    assert (ROOT / OF_ERRORS[module]).is_file()


@pytest.mark.parametrize(
    ("arguments", "page"),
    [
        (("spaces", "check", "bad.toml"), "docs/reference/space-file.md"),
        (("data", "info", "empty"), "docs/how-to/own-images.md"),
    ],
)
def test_an_error_ends_with_its_page(tmp_path, monkeypatch, arguments, page):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("[modle]\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code in (1, 2)
    (error,) = result.stderr.splitlines()
    assert error.startswith("Error: ")
    assert error.endswith(f"; see {page}")


def test_other_errors_name_none(tmp_path):
    result = CliRunner().invoke(main, ["status", "--store", str(tmp_path)])
    assert result.exit_code != 0
    assert "docs/" not in result.stderr


def test_a_message_that_names_a_page_gets_no_other():
    assert of_error(ValueError("see docs/how-to/cluster.md")) == ""
