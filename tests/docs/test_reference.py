import ast
import re

import pytest

from sweeper import environment
from sweeper.report.glossary import WORDS
from tests.docs.markdown import ROOT
from tests.docs.reference.glossary import TERMS
from tests.docs.reference.mlflow_map import MODEL_TAGS, TAGS
from tests.docs.write import FOLDER, PAGES

# Texts that look like environment variables: errors of CUDA's libraries, and tags of MLflow's.
NO_VARIABLES = {
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
}
VARIABLE = re.compile(
    r"(_?SWEEPER|MLFLOW|OPTUNA|RAY|HF|SLURM|CUDA|CUBLAS|CUDNN|OMP|MKL|ONEDNN|PG|PYTHON|XDG)_?[A-Z]\w*|RAY_\w+"
    r"|COLUMNS|DO_NOT_TRACK|TMPDIR|NO_COLOR|PGPASSWORD"
)


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_code_says(name):
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "python -m tests.docs.write writes the reference anew"


def test_every_variable_in_the_code_is_in_the_reference_and_no_other():
    read_or_set = {**environment.OF_OPTIONS, **environment.READ, **environment.DEFAULTED, **environment.SET}
    found = set()
    for path in (ROOT / "sweeper").rglob("*.py"):
        if path.name != "environment.py" or path.parent.name != "sweeper":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and VARIABLE.fullmatch(node.value):
                    found.add(node.value)
    assert found - NO_VARIABLES == set(read_or_set)


def test_every_tag_that_the_code_writes_is_in_the_reference():
    # Names of an entry point, a package beside sweeper/, a function, and a type of data, which look like tags.
    others = {"sweeper.families", "sweeper.search_spaces", "sweeper.search", "sweeper.json"}
    others |= {f"sweeper.{path.stem}" for path in (ROOT / "sweeper").iterdir()}
    found = set()
    for path in (ROOT / "sweeper").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"^sweeper\.[a-z_0-9]+$", node.value))
    assert not found - others - TAGS.keys() - MODEL_TAGS.keys()


def test_every_variable_has_one_meaning():
    kinds = (
        environment.OF_OPTIONS, environment.READ, environment.SECRET, environment.OF_LIBRARIES,
        environment.DEFAULTED, environment.SET,
    )  # fmt: skip
    names = [name for kind in kinds for name in kind]
    assert len(names) == len(set(names))


def test_every_term_has_one_meaning():
    terms = [term for entry in [*WORDS, *TERMS] for term in entry.split(", ")]
    # A plural is no other term.
    assert len(terms) == len({term.removesuffix("s") for term in terms})
    meanings = [*WORDS.values(), *TERMS.values()]
    assert len(meanings) == len(set(meanings))
    assert {"interval", "power", "seed", "finalist", "test evaluation"} <= set(terms)
