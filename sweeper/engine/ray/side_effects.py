"""Keeps what Ray changes in the process that connects: signal handlers, the debugger, and what stderr shows."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sweeper.process.signals import SIGNALS

DEBUGGER = "PYTHONBREAKPOINT"  # the variable that names what breakpoint() calls


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Keeps this process's signal handlers: Ray puts its own in their place."""
    if threading.current_thread() is not threading.main_thread():  # Ray then sets none, and nobody may
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def debugger_kept() -> Iterator[None]:
    """Keeps the debugger of `breakpoint()`: Ray puts its own in its place, which fails when it is disconnected."""
    before = os.environ.get(DEBUGGER)
    try:
        yield
    finally:
        os.environ.pop(DEBUGGER, None)
        if before is not None:
            os.environ[DEBUGGER] = before


@contextmanager
def silent() -> Iterator[None]:
    """Drops what this process writes to its standard error: Ray's C++ code warns there of every try to connect."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
