"""Writes the generated pages of docs/reference/: `python -m tests.docs.write`."""

from collections.abc import Callable, Mapping

from tests.docs.markdown import ROOT
from tests.docs.reference import commands, glossary, json_output, mlflow_map, places, space_file

FOLDER = ROOT / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "space-file.md": space_file.page,
    "json.md": json_output.page,
    "mlflow.md": mlflow_map.page,
    "exit-codes.md": places.exit_codes_page,
    "environment.md": places.environment_page,
    "store.md": places.store_page,
    "glossary.md": glossary.page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
