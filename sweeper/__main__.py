"""The command `sweeper`, and `python -m sweeper`."""

import gc

from sweeper.process import signals, streams
from sweeper.store.shown import shown


def main() -> None:
    """Runs the command line.

    From the start, no signal shows a traceback, lost output ends no command, and what is printed has no secrets and
    no commands for a terminal.
    """
    # Libraries make a million objects while they are imported, and almost all of them stay. With Python's own threshold
    # of 700 new objects, a command spends a quarter of its start on looking through them again and again.
    gc.set_threshold(50_000, 10, 10)
    streams.secure(shown)
    signals.install()
    from sweeper.cli import main as command_line  # only now: its imports take a moment

    try:
        command_line(prog_name="sweeper")
    finally:
        gc.freeze()  # or else Python looks through all of them twice more before it ends, which takes over a second


if __name__ == "__main__":
    main()
