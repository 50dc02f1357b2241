"""Runs the commands of pages and writes what they print into the pages: `python -m tests.docs.rewrite PAGE...`."""

import sys
import tempfile
from pathlib import Path

from tests.docs import commands, data


def rewrite(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    words = commands.needs(page)
    if words is None:
        sys.exit(f"{path} does not ask for its commands to be run (<!-- commands: ... -->)")
    with tempfile.TemporaryDirectory() as folder:
        data.make([word for word in words if word != commands.SLOW], Path(folder))
        printed = []
        for each in commands.run(page, Path(folder)):
            printed.append(each)
            if each.exit_code != each.shown.exit_code:
                sys.exit(f"{path}: {commands.mistakes(each)}")
    path.write_text(commands.rewritten(page, printed), encoding="utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        rewrite(Path(argument))
