"""The page of the JSON Schema files, by the title of each."""

import json

from tests.docs.reference.tables import code, table
from tests.docs.schemas import FOLDER, SHARED

PAGE = """# JSON output

With `--json` a command prints one object on stdout and nothing else; notes and progress stay on stderr. Each shape has
a [JSON Schema](https://json-schema.org/draft/2020-12) file. The files refer to [{shared}](schemas/{shared}), which lies
beside them. Tests compare what the commands print with the files, so that no key is missing there.

{commands}
Some artifacts of MLflow's runs have a shape of their own:

{artifacts}
`ablation.json` has the shape of `sweeper ablate`, `promotion.json` that of `sweeper promote`, and `result.json` of an
evaluation that of `sweeper evaluate`.
"""


def page() -> str:
    titles = {
        path.name: json.loads(path.read_text(encoding="utf-8"))["title"] for path in sorted(FOLDER.glob("*.json"))
    }
    commands, artifacts = [], []
    for file, title in titles.items():
        link = f"[{file}](schemas/{file})"
        if title.startswith("sweeper "):
            commands.append((code(title), link))
        elif file != SHARED:
            name, _, meaning = title.partition(": ")
            artifacts.append((code(name), meaning, link))
    return PAGE.format(
        shared=SHARED,
        commands=table(("command", "schema"), commands),
        artifacts=table(("artifact", "what it is", "schema"), artifacts),
    )
