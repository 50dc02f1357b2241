import ast
import configparser
import importlib.util
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "sweeper").rglob("*.py"))
}

# A part of sweeper may import what stands on a line above its own.
LEVELS = (
    {"errors", "rules"},
    {"config", "layers", "store", "databases", "evaluation", "plots"},
    {"data", "models", "training", "tracking", "space", "space_file", "space_parameters", "space_variants"}
    | {"space_figures", "space_shapes", "overrides"},
    {"search"},
    {"promotion", "report", "doctor"},
    {"cli"},
    {"__main__"},
)
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}

# The only imports along a line: (part, what it may import).
SIDEWAYS = {
    ("layers", "config"),
    ("databases", "store"),
    ("plots", "evaluation"),
    ("space_file", "space"),
    ("space_file", "space_parameters"),
    ("space_file", "space_variants"),
    ("space_file", "space_shapes"),
    ("space_file", "overrides"),
    ("space_parameters", "space"),
    ("space_variants", "space"),
    ("space_variants", "space_figures"),
    ("space_variants", "space_parameters"),
    ("space_shapes", "space"),
    ("space_shapes", "data.catalog"),
    ("space_file", "data.catalog"),
}

# Who may import what is not for everyone.
RESERVED = {
    "click": {"sweeper.cli"},
    "rich": {"sweeper.cli"},
    "mlflow": {"sweeper.tracking"},
    # A promotion is handed the study that it promotes.
    "optuna": {"sweeper.search", "sweeper.promotion"},
    "optuna.distributions": {"sweeper.space", "sweeper.space_parameters"},
    # The search cannot see the test set: nothing that chooses anything stands here.
    "sweeper.data.test_set": {"sweeper.cli.data", "sweeper.promotion.look"},
}

# What chooses, and may not even name the test files of a data set, or its files at large.
CHOOSING = (
    "sweeper.search",
    "sweeper.training",
    "sweeper.models",
    "sweeper.tracking",
    "sweeper.promotion.finalists",
    "sweeper.cli.search",
    "sweeper.cli.train",
)
CHOOSING_PREFIX = "sweeper.space"
TEST_FILES = ("test", "files")

# What describes a configuration or a data set loads at once, in every process.
STANDARD_LIBRARY_ONLY = {"sweeper.config", "sweeper.layers", "sweeper.data.catalog"}

# Distributions whose import has another name.
IMPORT_NAMES = {"scikit-learn": "sklearn", "pillow": "PIL"}


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def nodes(source: str) -> list[ast.AST]:
    """Every node of a file's syntax tree."""
    return list(ast.walk(ast.parse(source)))


@cache
def imported_names(path: str, source: str) -> set[str]:
    """The dotted names a file imports anywhere in it, `from a import b` as a.b."""
    module = module_name(path)
    package = module if path.endswith("/__init__.py") else module.rpartition(".")[0]
    names = set()
    for node in nodes(source):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name for alias in aliases}
            case ast.ImportFrom(module=base, names=aliases, level=level):
                origin = importlib.util.resolve_name("." * level + (base or ""), package)
                names |= {f"{origin}.{alias.name}" for alias in aliases}
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                names.add(name)
    return names


def import_graph(files: Mapping[str, str]) -> dict[str, set[str]]:
    """What each module imports: a module of sweeper by its own name, anything else as written."""
    modules = {module_name(path) for path in files}

    def known(name: str) -> str:
        shorter = name
        while shorter and shorter not in modules:
            shorter = shorter.rpartition(".")[0]
        return shorter or name

    return {module_name(path): {known(name) for name in imported_names(path, source)} for path, source in files.items()}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def part(module: str) -> str:
    """`data` for sweeper.data.splits; `` for sweeper itself."""
    return module.partition(".")[2].partition(".")[0]


def upward_imports(files: Mapping[str, str]) -> list[str]:
    found = []
    for importer, names in import_graph(files).items():
        for name in sorted(n for n in names if within(n, "sweeper") and part(n)):
            ours, theirs = part(importer), part(name)
            if ours == theirs or LEVEL.get(theirs, len(LEVELS)) < LEVEL.get(ours, -1):
                continue
            if any(ours == who and within(name, f"sweeper.{what}") for who, what in SIDEWAYS):
                continue
            found.append(f"{importer} imports {name}")
    return found


def reserved_imports(files: Mapping[str, str]) -> list[str]:
    found = []
    for importer, names in import_graph(files).items():
        for name in sorted(names):
            rules = [importers for reserved, importers in RESERVED.items() if within(name, reserved)]
            if rules and not any(within(importer, who) for who in set().union(*rules)):
                found.append(f"{importer} imports {name}")
    return found


def libraries_behind(start: set[str], files: Mapping[str, str]) -> list[str]:
    """Imports from outside the standard library in `start`, in what it imports, and in the packages around them."""
    graph = import_graph(files)
    found, seen, waiting = [], set(), sorted(start)
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        if parent := module.rpartition(".")[0]:
            waiting.append(parent)
        for name in sorted(graph[module]):
            if within(name, "sweeper"):
                waiting.append(name)
            elif name.partition(".")[0] not in sys.stdlib_module_names:
                found.append(f"{module} imports {name}")
    return found


def mentions_of_test_files(files: Mapping[str, str]) -> list[str]:
    """Where a module that chooses reads an attribute named `test` or `files`, plainly or by getattr."""
    found = []
    for path, source in files.items():
        module = module_name(path)
        if not (module.startswith(CHOOSING_PREFIX) or any(within(module, who) for who in CHOOSING)):
            continue
        for node in nodes(source):
            match node:
                case ast.Attribute(attr=name) if name in TEST_FILES:
                    found.append(f"{module} reads .{name}")
                case ast.Call(
                    func=ast.Name(id="getattr" | "attrgetter") | ast.Attribute(attr="attrgetter"), args=arguments
                ):
                    names = {a.value for a in arguments if isinstance(a, ast.Constant)}
                    found += [f"{module} reads .{name}" for name in TEST_FILES if name in names]
    return found


def test_every_part_has_its_level():
    parts = {part(module_name(path)) for path in FILES} - {""}
    assert parts <= LEVEL.keys()


def test_imports_point_downward():
    assert upward_imports(FILES) == []


def test_libraries_and_the_test_set_are_imported_where_they_belong():
    assert reserved_imports(FILES) == []


def test_what_chooses_never_names_the_test_files():
    assert mentions_of_test_files(FILES) == []


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        ("sweeper/search/study.py", "dataset.test", "sweeper.search.study reads .test"),
        ("sweeper/training/fit.py", "def f(d):\n    return d.files", "sweeper.training.fit reads .files"),
        ("sweeper/cli/search.py", "getattr(d, 'test')", "sweeper.cli.search reads .test"),
        ("sweeper/promotion/finalists.py", "d.test", "sweeper.promotion.finalists reads .test"),
        ("sweeper/space_file.py", "operator.attrgetter('test')", "sweeper.space_file reads .test"),
    ],
)
def test_a_mention_of_the_test_files_is_found(path, source, violation):
    assert mentions_of_test_files(FILES | {path: source}) == [violation]


def test_descriptions_need_only_the_standard_library():
    assert libraries_behind(STANDARD_LIBRARY_ONLY, FILES) == []


def test_every_permission_is_used():
    graph = import_graph(FILES)
    sideways = {
        (who, what)
        for who, what in SIDEWAYS
        for importer, names in graph.items()
        if part(importer) == who and any(within(name, f"sweeper.{what}") for name in names)
    }
    assert sideways == SIDEWAYS
    for reserved, importers in RESERVED.items():
        users = {
            who
            for who in importers
            for importer, names in graph.items()
            if within(importer, who) and any(within(name, reserved) for name in names)
        }
        assert users == importers, reserved


def test_every_library_imported_is_declared():
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    distributions = [
        re.match(r"[\w.-]+", line).group() for line in setup["options"]["install_requires"].split("\n") if line
    ]
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in distributions}
    imported = {name.partition(".")[0] for names in import_graph(FILES).values() for name in names}
    assert imported - set(sys.stdlib_module_names) - {"sweeper"} <= declared


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        ("sweeper/config.py", "import sweeper.search.study", "sweeper.config imports sweeper.search.study"),
        ("sweeper/config.py", "from sweeper import search", "sweeper.config imports sweeper.search"),
        ("sweeper/config.py", "from .search import study", "sweeper.config imports sweeper.search.study"),
        ("sweeper/data/splits.py", "from ..cli import main", "sweeper.data.splits imports sweeper.cli"),
        ("sweeper/data/__init__.py", "from .. import search", "sweeper.data imports sweeper.search"),
        (
            "sweeper/data/splits.py",
            "def f():\n    from sweeper.models.convnet import ConvNet",
            "sweeper.data.splits imports sweeper.models.convnet",
        ),
        (
            "sweeper/training/fit.py",
            "import importlib\nimportlib.import_module('sweeper.models')",
            "sweeper.training.fit imports sweeper.models",
        ),
        ("sweeper/space_file.py", "import sweeper.data.pool", "sweeper.space_file imports sweeper.data.pool"),
        ("sweeper/errors.py", "import sweeper.config", "sweeper.errors imports sweeper.config"),
        ("sweeper/novelty.py", "import sweeper.errors", "sweeper.novelty imports sweeper.errors"),
    ],
)
def test_an_import_that_points_upward_is_found(path, source, violation):
    assert violation in upward_imports(FILES | {path: source})


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        ("sweeper/search/sweep.py", "import click", "sweeper.search.sweep imports click"),
        ("sweeper/search/sweep.py", "from rich import live", "sweeper.search.sweep imports rich.live"),
        ("sweeper/search/sweep.py", "import mlflow.entities", "sweeper.search.sweep imports mlflow.entities"),
        ("sweeper/space.py", "from optuna import Trial", "sweeper.space imports optuna.Trial"),
        ("sweeper/training/fit.py", "import optuna", "sweeper.training.fit imports optuna"),
        (
            "sweeper/training/fit.py",
            "from optuna import distributions",
            "sweeper.training.fit imports optuna.distributions",
        ),
        (
            "sweeper/search/sweep.py",
            "from sweeper.data import test_set",
            "sweeper.search.sweep imports sweeper.data.test_set",
        ),
        (
            "sweeper/promotion/finalists.py",
            "from sweeper.data import test_set",
            "sweeper.promotion.finalists imports sweeper.data.test_set",
        ),
        (
            "sweeper/data/pool.py",
            "from .test_set import find_test_set",
            "sweeper.data.pool imports sweeper.data.test_set",
        ),
    ],
)
def test_an_import_out_of_place_is_found(path, source, violation):
    assert reserved_imports(FILES | {path: source}) == [violation]


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        ("sweeper/config.py", "import numpy as np", "sweeper.config imports numpy"),
        ("sweeper/data/__init__.py", "import torch", "sweeper.data imports torch"),
        ("sweeper/errors.py", "def f():\n    import yaml", "sweeper.errors imports yaml"),
    ],
)
def test_a_library_behind_a_description_is_found(path, source, violation):
    assert violation in libraries_behind(STANDARD_LIBRARY_ONLY, FILES | {path: source})
