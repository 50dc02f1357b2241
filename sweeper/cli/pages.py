"""The pages of the documentation that explain a command or an error.

No host publishes them: they come with sweeper's source, and a page is named by its path there.
"""

from collections.abc import Mapping
from types import TracebackType

import click

# By the words of a command after `sweeper`.
OF_COMMANDS: Mapping[str, str] = {
    "": "docs/index.md",
    "ablate": "docs/how-to/promote.md",
    "compare": "docs/how-to/again.md",
    "completion": "docs/how-to/completion.md",
    "dashboard": "docs/how-to/studies.md",
    "data": "docs/how-to/own-images.md",
    "data fetch": "docs/how-to/data-sets.md",
    "data info": "docs/how-to/own-images.md",
    "delete": "docs/how-to/studies.md",
    "doctor": "docs/explanation/reliability.md",
    "evaluate": "docs/how-to/evaluation.md",
    "explain": "docs/how-to/analyses.md",
    "export": "docs/how-to/export.md",
    "frontier": "docs/how-to/limits.md",
    "ledger": "docs/how-to/promote.md",
    "models": "docs/how-to/limits.md",
    "models summary": "docs/how-to/limits.md",
    "predict": "docs/how-to/predict.md",
    "promote": "docs/how-to/promote.md",
    "promotions": "docs/how-to/promote.md",
    "report": "docs/how-to/report.md",
    "retry": "docs/how-to/studies.md",
    "search": "docs/how-to/choose.md",
    "spaces": "docs/how-to/spaces.md",
    "spaces around": "docs/how-to/again.md",
    "spaces check": "docs/reference/space-file.md",
    "spaces export": "docs/how-to/spaces.md",
    "spaces list": "docs/how-to/spaces.md",
    "spaces show": "docs/how-to/spaces.md",
    "status": "docs/how-to/studies.md",
    "stop": "docs/how-to/studies.md",
    "store": "docs/how-to/studies.md",
    "store adopt": "docs/how-to/studies.md",
    "studies": "docs/how-to/studies.md",
    "sync": "docs/how-to/studies.md",
    "train": "docs/how-to/train.md",
    "trials": "docs/how-to/again.md",
    "ui": "docs/how-to/studies.md",
}
# By the module that raises the error, or its package.
OF_ERRORS: Mapping[str, str] = {
    "sweeper.data.own": "docs/how-to/own-images.md",
    "sweeper.folders": "docs/how-to/own-images.md",
    "sweeper.images": "docs/how-to/own-images.md",
    "sweeper.models.own_networks": "docs/how-to/custom.md",
    "sweeper.models.pretrained": "docs/how-to/pretrained.md",
    "sweeper.models.signatures": "docs/how-to/custom.md",
    "sweeper.promotion.test_evaluation": "docs/how-to/promote.md",
    "sweeper.spaces.overrides": "docs/reference/space-file.md",
    "sweeper.spaces.reader": "docs/reference/space-file.md",
    "sweeper.spaces.variants": "docs/reference/space-file.md",
    "sweeper.store.identity": "docs/how-to/studies.md",
}


def add_to(command: click.Command, words: str = "") -> None:
    """Ends the help of the command, and of those below it, with its page."""
    # Without the mark \b, click would break the line within the path.
    command.epilog = f"\b\nMore: {OF_COMMANDS[words]}"
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            add_to(child, f"{words} {name}".strip())


def of_error(error: BaseException) -> str:
    """The page that explains where this error comes from; empty if none does, or if the message names one."""
    if "docs/" in str(error):
        return ""
    for module in _modules(error.__traceback__):
        for place in (module, module.rpartition(".")[0]):
            if place in OF_ERRORS:
                return OF_ERRORS[place]
    return ""


def _modules(traceback: TracebackType | None) -> list[str]:
    """The modules that an error has passed, from where it was raised."""
    found = []
    while traceback is not None:
        found.append(str(traceback.tb_frame.f_globals.get("__name__", "")))
        traceback = traceback.tb_next
    return found[::-1]
