"""The command `sweeper`, and `python -m sweeper`."""

from sweeper.process import signals, streams


def main() -> None:
    """Runs the command line. From the start, no signal shows a traceback, and lost output ends no command."""
    streams.secure()
    signals.install()
    from sweeper.cli import main as command_line  # only now: its imports take a moment

    command_line(prog_name="sweeper")


if __name__ == "__main__":
    main()
