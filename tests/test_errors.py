import sqlite3
import tempfile
from collections import namedtuple

import pytest

from sweeper import errors
from sweeper.errors import MOST_SHOWN, UsageError, plain, refuse, said, shortened, system_fault


def chained(error, cause):
    """The error as it was raised from its cause."""
    error.__cause__ = cause
    return error


def in_context(error, context):
    """The error as it was raised while the other was handled."""
    error.__context__ = context
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError("libtorch_global_deps.so: cannot open shared object file: Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 40 bytes"),
        RuntimeError("can't start new thread"),
        chained(
            ValueError("numpy could not be imported"), ImportError("x.so: failed to map segment from shared object")
        ),
        in_context(RuntimeError("wrapped"), MemoryError()),
    ],
)
def test_lack_of_memory_is_told_as_one(error):
    assert system_fault(error).startswith("there is not enough memory")
    assert said(error) == system_fault(error)


@pytest.mark.parametrize(("limited", "told"), [(True, True), (False, False)])
def test_extension_that_fails_without_a_reason_lacked_memory_only_under_a_limit(monkeypatch, limited, told):
    monkeypatch.setattr(errors, "_is_memory_limited", lambda: limited)
    error = SystemError("<built-in function load> returned NULL without setting an exception")
    assert ("not enough memory" in (system_fault(error) or "")) is told


def test_ring_of_errors_ends():
    error, other = KeyError("x"), ValueError("y")
    error.__cause__, other.__cause__ = other, error
    assert system_fault(error) is None
    assert said(error) == "'x'"


def test_file_that_cannot_be_used_is_named():
    assert system_fault(NotADirectoryError(20, "Not a directory", "/store/logs")) == (
        "[Errno 20] Not a directory: '/store/logs'"
    )


@pytest.mark.parametrize(("free", "told"), [(100, True), (1 << 30, False)])
def test_full_folder_of_temporary_files_is_named(monkeypatch, free, told):
    monkeypatch.setattr("shutil.disk_usage", lambda path: namedtuple("usage", "free")(free))
    text = said(OSError(28, "No space left on device"))
    assert (f"the folder of temporary files, {tempfile.gettempdir()}, has no room left" in text) is told
    assert ("TMPDIR" in text) is told
    assert said(OSError(28, "No space left on device", "/store/x")) == "[Errno 28] No space left on device: '/store/x'"


def test_no_usable_folder_of_temporary_files_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    with pytest.raises(FileNotFoundError) as raised:
        tempfile.gettempdir()
    assert "make room in one of them, or name another with TMPDIR" in system_fault(raised.value)


def test_database_that_cannot_be_used_is_told_wherever_its_error_comes_up():
    class Wrapped(Exception):
        orig = sqlite3.DatabaseError("database disk image is malformed")

    fault = system_fault(chained(RuntimeError("during the commit"), Wrapped()))
    assert fault == (
        "a database cannot be used: database disk image is malformed; `sweeper doctor` says which, and what to do"
    )


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), ValueError("y"), OSError("no number"), in_context(KeyError("x"), OSError(2, "No such file"))],
)
def test_bug_is_not_blamed_on_the_machine(error):
    assert system_fault(error) is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("lr", "lr"),
        ("two words", "two words"),
        ("é", "é"),
        ("a\nb", "'a\\nb'"),
        ("\x1b[2J", "'\\x1b[2J'"),
        (" ", "' '"),
    ],
)
def test_name_stands_in_one_line(name, shown):
    assert plain(name) == shown


def test_long_text_is_shown_by_its_ends():
    assert shortened("x" * MOST_SHOWN) == "x" * MOST_SHOWN
    shown = shortened("a" + "x" * 10**6 + "b")
    assert (shown[0], shown[-1]) == ("a", "b")
    assert " ... " in shown
    assert len(shown) <= MOST_SHOWN
    assert len(plain("\n" * 10**6)) <= MOST_SHOWN


def test_refusal_of_a_few_long_paths_keeps_its_remedy():
    message = f"{'/long' * 50}/a.py is not installed: name it with --code {'/long' * 50}/a.py"
    with pytest.raises(UsageError) as refused:
        refuse(message, "space.toml")
    assert str(refused.value) == f"{message} (space.toml)"
    with pytest.raises(UsageError) as refused:
        refuse(f"must be short, got {'x' * 10**6}", "space.toml")
    assert len(str(refused.value)) < 1000
