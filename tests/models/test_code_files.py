import dataclasses
import inspect
import os
import sys

import pytest

from sweeper.errors import UsageError
from sweeper.models import code_files, foreign_calls
from tests.models.own_code import forget_code


@pytest.fixture(autouse=True)
def no_code(monkeypatch):
    forget_code(monkeypatch)


def read(tmp_path, text, name="nets.py"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return code_files.read(path)


def test_reading_a_file_runs_nothing(tmp_path):
    file = read(tmp_path, "raise SystemExit('run')")
    assert (file.name, file.module_name, len(file.sha256)) == ("nets.py", "nets", 64)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nets.txt", "", "must be named as a Python module, such as nets.py, got .*nets.txt"),
        ("my-nets.py", "", "must be named as a Python module"),
        ("nets.py", "x = 1\nclass A(:\n", r"not valid Python: invalid syntax \(.*nets.py, line 2\)"),
        ("nets.py", "x = '\0'", "not valid Python: .*null"),
        ("nets.py", b"x = '\xe4'", "not valid Python: .*utf-8"),
        ("nets.py", "#" * (code_files.MOST_BYTES + 1), "at most 1,000,000 bytes"),
        ("nets.py", "from . import layers", r"nets.py imports \., which is no installed package"),
        ("nets.py", "from .layers import Block", r"nets.py imports \.layers, which is no installed package"),
    ],
)
def test_what_is_no_single_file_of_code_is_refused(tmp_path, name, text, message):
    with pytest.raises(UsageError, match=message):
        read(tmp_path, text, name)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"nets.py cannot be read: No such file or directory \(--code\)"):
        code_files.read(tmp_path / "nets.py")


@pytest.mark.parametrize("how", ["import own_layers", "def f():\n    from own_layers.blocks import Block"])
def test_module_beside_the_file_is_refused_though_python_finds_it(tmp_path, monkeypatch, how):
    (tmp_path / "own_layers.py").write_text("raise SystemExit('run')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"nets.py imports own_layers \(.*own_layers.py\), which is no installed"):
        read(tmp_path, how)


def test_installed_packages_and_sweeper_may_be_imported(tmp_path):
    read(tmp_path, "import os, torch.nn\nfrom PIL import Image\nfrom sweeper.models.blocks import initialise")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import os\nimport nowhere_to_be_found",
            r"nets.py imports nowhere_to_be_found, which is not installed: .*\(nets.py, line 2\)",
        ),
        ("def f():\n    return 1 / 0\n\nf()", r"nets.py cannot be run: ZeroDivisionError: .*\(nets.py, line 2\)"),
        ("import sys\nsys.exit(3)", r"nets.py cannot be run: it calls sys.exit\(3\) \(nets.py, line 2\)"),
    ],
)
def test_file_that_cannot_be_run_is_named_with_the_line(tmp_path, text, message):
    file = read(tmp_path, text)
    modules = set(sys.modules)
    with pytest.raises(UsageError, match=message):
        code_files.module_of(file)
    assert {name for name in set(sys.modules) - modules if name.startswith("nets")} == set()


def test_file_that_runs_for_ever_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_calls, "MOST_SECONDS", 0.01)
    with pytest.raises(UsageError, match=r"nets.py cannot be run: it takes longer than 0.01 seconds \(nets.py\)"):
        code_files.module_of(read(tmp_path, "while True:\n    pass"))


def test_two_versions_of_a_file_are_two_modules_and_each_runs_once(tmp_path):
    first = read(tmp_path, "x = object()")
    second = read(tmp_path, "x = object()  # changed")
    modules = [code_files.module_of(file) for file in (first, second, first)]
    assert modules[0] is modules[2]
    assert modules[0].x is not modules[1].x


def test_module_is_that_of_the_file_as_it_was_read(tmp_path):
    code = "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int = 1\n"
    file = read(tmp_path, f"{code}def f():\n    return 1\n")
    (tmp_path / "nets.py").write_text("changed = True")
    module = code_files.module_of(file)
    assert dataclasses.asdict(module.A()) == {"x": 1}
    assert inspect.getsource(module.f) == "def f():\n    return 1\n"


def test_last_file_of_a_name_is_the_one_that_spaces_mean(tmp_path):
    first, second = read(tmp_path, "x = 1"), read(tmp_path, "x = 2")
    code_files.use(first)
    code_files.use(second)
    assert code_files.named("nets") == second
    assert code_files.by_hash(first.sha256) == first
    assert code_files.in_use() == (first, second)
    assert code_files.arguments() == ["--code", first.path]


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfx = '\xc3\xa4'\r\n", b"# coding: latin-1\r\nx = '\xe4'\r\n"])
def test_file_is_read_in_the_encodings_that_python_reads(tmp_path, content):
    (tmp_path / "nets.py").write_bytes(content)
    file = code_files.read(tmp_path / "nets.py")
    assert code_files.module_of(file).x == "ä"
    assert "x = 'ä'" in file.text


def test_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "nets.py")
    with pytest.raises(UsageError, match=r"nets.py is no regular file \(--code\)"):
        code_files.read(tmp_path / "nets.py")
