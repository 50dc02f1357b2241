"""The errors a user sees as one line, with the exit code each stands for."""


class SweeperError(Exception):
    """Something the user must know; shown without a traceback. Exit code 1."""

    exit_code = 1


class UsageError(SweeperError):
    """A bad argument, option, or space file: nothing was started. Exit code 2."""

    exit_code = 2
