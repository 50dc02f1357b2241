import sys
import threading
from contextlib import redirect_stdout

import pytest

from sweeper.models.foreign_calls import ForeignError, call


def failing(error):
    def function():
        raise error

    return function


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (failing(KeyError("width")), "KeyError: 'width'"),
        (failing(RuntimeError("two\n  lines")), "two lines"),
        (failing(AssertionError()), "AssertionError"),
        (lambda: sys.exit("bye"), r"it calls sys.exit\('bye'\)"),
    ],
)
def test_failure_of_called_code_is_one_line(function, message):
    with pytest.raises(ForeignError, match=f"^{message}$"):
        call(function)


def test_prints_of_called_code_go_to_stderr(capsys):
    assert call(lambda word: print(word) or 7, "hello") == 7
    assert capsys.readouterr() == ("", "hello\n")


def test_code_that_takes_for_ever_is_ended():
    ended = threading.Event()

    def forever():
        try:
            while True:
                pass
        finally:
            ended.set()

    with pytest.raises(ForeignError, match=r"longer than 0.01 seconds"):
        call(forever, seconds=0.01)
    assert ended.wait(60)


def test_prints_go_where_they_went_when_a_call_that_took_for_ever_has_ended():
    threads, stdout = [], sys.stdout

    def forever():
        threads.append(threading.current_thread())
        with redirect_stdout(sys.stderr):
            while True:
                pass

    with pytest.raises(ForeignError, match=r"longer than 0.01 seconds"):
        call(forever, seconds=0.01)
    for thread in threads:
        thread.join(60)
    assert sys.stdout is stdout


def test_lack_of_memory_is_no_fault_of_the_called_code():
    with pytest.raises(MemoryError):
        call(failing(MemoryError()))


def test_error_that_cannot_be_shown_is_named():
    class Silent(ValueError):
        def __str__(self):
            raise RuntimeError

    with pytest.raises(ForeignError, match=r"^Silent$"):
        call(failing(Silent()))
