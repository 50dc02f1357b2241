"""The command `sweeper`, and `python -m sweeper`."""

from sweeper.process import signals, streams
from sweeper.store.shown import shown


def main() -> None:
    """Runs the command line.

    From the start, no signal shows a traceback, lost output ends no command, and what is printed has no secrets and
    no commands for a terminal.
    """
    streams.secure(shown)
    signals.install()
    from sweeper.cli import main as command_line  # only now: its imports take a moment

    command_line(prog_name="sweeper")


if __name__ == "__main__":
    main()
