"""Ends the process at once and wherever it is, without raising anything inside a library."""

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from sweeper.process import streams

# The files and folders that are being written under temporary names.
unfinished: set[Path] = set()
SHOW_CURSOR = "\x1b[?25h"


def exit_code(reason: str) -> int:
    """The exit code of a command that this signal stopped: 128 plus the signal's number; 0 for any other reason."""
    return 128 + signal.Signals[reason] if reason in signal.Signals.__members__ else 0


def end_now(number: int, advice: str = "") -> NoReturn:
    """Ends the process with the signal's exit code and one line on stderr; deletes what is `unfinished`.

    All else is as after kill -9, which the files of a store survive. Any thread may call this.
    """
    # The live view of a search hides the cursor.
    shown = SHOW_CURSOR if os.isatty(streams.STDERR) else ""
    streams.write_line(f"{shown}Interrupted by {signal.Signals(number).name}{advice}")
    for path in list(unfinished):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    os._exit(128 + number)
