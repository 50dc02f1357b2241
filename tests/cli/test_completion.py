import os
import shutil
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.cli.completion import SHELLS, VARIABLE


def offered(*words: str) -> list[str]:
    """What the shell offers for the last of these words."""
    *before, incomplete = words
    return [item.value for item in ShellComplete(main, {}, "sweeper", VARIABLE).get_completions(before, incomplete)]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script(shell):
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert f"{VARIABLE}={shell}_complete" in result.stdout
    assert "sweeper" in result.stdout


def test_another_shell_is_refused():
    result = CliRunner().invoke(main, ["completion", "csh"])
    assert result.exit_code == 2
    assert "'csh' is not one of 'bash', 'zsh', 'fish'" in result.stderr


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (("se",), ["search"]),
        (("spaces", "s"), ["show"]),
        (("search", "--var"), ["--variants-only"]),
        (("promote", "--prefer", ""), ["accuracy", "small", "fast"]),
        (("search", "fashion"), ["fashion_mnist"]),
        (("search", "x", "--space", "lenet5_s"), ["lenet5_steps"]),
        (("models", "summary", "--space", "vgg"), ["vgg_small"]),
    ],
)
def test_commands_options_and_names_are_offered(words, some):
    assert offered(*words) == some


def test_other_words_are_completed_as_paths():
    (item,) = ShellComplete(main, {}, "sweeper", VARIABLE).get_completions(["search"], "./pets")
    assert (item.type, item.value) == ("file", "./pets")


def test_completion_imports_nothing_slow():
    code = (
        "import sys; from click.shell_completion import ShellComplete; from sweeper.cli import main; "
        f"ShellComplete(main, {{}}, 'sweeper', {VARIABLE!r}).get_completions(['search', 'x', '--space'], 'l'); "
        f"ShellComplete(main, {{}}, 'sweeper', {VARIABLE!r}).get_completions(['search'], 'f'); "
        "print(sorted({'torch', 'optuna', 'mlflow', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_really_completes(tmp_path):
    program = tmp_path / "sweeper"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m sweeper "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = (
        'eval "$(sweeper completion bash)"; COMP_WORDS=(sweeper search --var); COMP_CWORD=2; '
        'COMP_LINE="sweeper search --var"; COMP_POINT=${#COMP_LINE}; _sweeper_completion sweeper; '
        'echo "${COMPREPLY[@]}"'
    )
    found = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, env=found, check=True)
    assert done.stdout == "--variants-only\n"
