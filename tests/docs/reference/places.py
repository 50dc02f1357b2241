"""The pages of exit codes, environment variables and a store's files."""

from collections.abc import Mapping

from sweeper import environment
from sweeper.errors import SweeperError, UsageError
from sweeper.process.ending import exit_code
from sweeper.process.signals import SIGNALS
from sweeper.store.layout import FILES, FOLDERS
from sweeper.store.options import DEFAULT_STORE
from tests.docs.reference.tables import code, table

ENVIRONMENT = """# Environment variables

Variables that an option overrides:

{of_options}
Variables without an option:

{read}
Variables of the libraries that change what sweeper does:

{of_libraries}
Secrets: their values are hidden wherever sweeper prints or stores a text.

{secret}
Variables that sweeper sets for its own process and its workers, unless they are set:

{defaulted}
Variables that it sets in any case:

{set}"""

STORE = """# Files of a store

A store is the folder `{default}/`, or the one that `--store` (`SWEEPER_STORE`) names. `--storage` and `--tracking-uri`
put the two databases elsewhere. A store has no links. Move or copy it as a whole, then run `sweeper store adopt`.

{files}
{folders}
What belongs to a study lies in a folder or file named after the study and its id.
"""

EXIT_CODES = """# Exit codes

{codes}
A message on stderr says what happened; `sweeper --debug ...` adds the traceback. After the first signal, a command that
trains ends after its running epochs, which are recorded; after the second, at once.
"""


def environment_page() -> str:
    of_options = [(code(name), code(option), meaning) for name, (option, meaning) in environment.OF_OPTIONS.items()]
    return ENVIRONMENT.format(
        of_options=table(("variable", "option", "meaning"), of_options),
        read=_meanings("variable", environment.READ),
        of_libraries=_meanings("variable", environment.OF_LIBRARIES),
        secret=_meanings("variable", environment.SECRET),
        defaulted=_meanings("variable", environment.DEFAULTED, "value and meaning"),
        set=_meanings("variable", environment.SET, "value and meaning"),
    )


def store_page() -> str:
    folders = {f"{name}/": meaning for name, meaning in FOLDERS.items()}
    return STORE.format(
        default=DEFAULT_STORE, files=_meanings("file", FILES, "holds"), folders=_meanings("folder", folders, "holds")
    )


def exit_codes_page() -> str:
    codes = {
        "0": "done; also if --timeout, --target or sweeper stop has ended the search, even if no trial is complete",
        str(
            SweeperError.exit_code
        ): "failed; also if a search has tried all its trials and none is complete, or doctor has found an error",
        str(UsageError.exit_code): "wrong usage: a bad argument, option, value or space file; nothing was started",
        **{str(exit_code(number.name)): f"stopped by {number.name}; the same command goes on" for number in SIGNALS},
    }
    return EXIT_CODES.format(codes=_meanings("code", codes))


def _meanings(head: str, meanings: Mapping[str, str], second: str = "meaning") -> str:
    return table((head, second), [(code(name), meaning) for name, meaning in meanings.items()])
