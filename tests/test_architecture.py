import ast
import configparser
import importlib.util
import re
import sys
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "sweeper").rglob("*.py"))
}

# The layers ("floors") of sweeper, top first. A module imports only from lower floors and from its own package:
# packages on one floor do not import each other. A package within a package (data.known) has its own floor.
FLOORS = (
    {"__main__"},
    {"api", "cli"},  # for Python and for the command line
    {"display", "doctor", "report"},
    {"analysis"},  # what trained networks make of images
    {"sweep", "promotion"},  # a whole sweep; from its best trials to a champion
    {"runs"},  # trainings recorded in MLflow
    {"engine.start"},  # the engine that a command has chosen
    {"engine.inline", "engine.ray"},  # trains in this process; on the nodes of a Ray cluster
    {"engine.local"},  # worker processes on this machine
    {"engine", "studies"},  # where trainings run; Optuna's state
    {"spaces", "tracking"},  # search spaces; MLflow
    # What listeners hear; what a network sees; what a data set holds; networks as files for other programs.
    {"events", "explain", "inspection", "model_files"},
    {"data", "models", "plots", "training"},
    {"data.known", "data.own"},
    {"data.formats", "folders"},
    {"images"},
    {"config", "evaluation", "store"},
    {"environment", "errors", "process", "quantities", "validators"},
)
FLOOR = {package: number for number, packages in enumerate(reversed(FLOORS)) for package in packages}
# sweeper/__init__.py has the public names, which no module of sweeper imports: this is above all floors.
PUBLIC = ""

# Limits that keep a package small enough to read in one sitting.
MOST_LINES = 0.15  # of all lines
MOST_MODULES = 8  # directly in sweeper/

# Restricted modules, each with the packages that may import it.
RESERVED = {
    "click": {"sweeper.cli"},
    "rich": {"sweeper.cli", "sweeper.display"},
    "mlflow": {"sweeper.tracking"},
    # Functions of search, promotion and analysis take an Optuna study as an argument; the report draws with
    # optuna.visualization.
    "optuna": {"sweeper.studies", "sweeper.sweep", "sweeper.promotion", "sweeper.analysis", "sweeper.report"},
    "optuna.distributions": {"sweeper.spaces"},
    # Not installed with sweeper. No other module knows of Ray's errors and its ways.
    "ray": {"sweeper.engine.ray.cluster"},
    # Not installed with sweeper: only what writes ONNX files may import them.
    "onnx": {"sweeper.model_files", "sweeper.analysis.quantized"},
    "onnxruntime": {"sweeper.model_files"},
    # The search cannot see the test set: no module that makes choices may be listed here.
    "sweeper.data.test_set": {
        "sweeper.cli.data",
        "sweeper.promotion.test_evaluation",
        "sweeper.analysis.evaluation_data",
        "sweeper.analysis.test_copies",  # counts copies of test images, and predicts nothing
    },
}

# Modules that make choices. They may not even name a data set's test files, or the list of all its files.
CHOOSING = (
    "sweeper.sweep",
    "sweeper.studies",
    "sweeper.engine",
    "sweeper.runs",
    "sweeper.spaces",
    "sweeper.training",
    "sweeper.models",
    "sweeper.tracking",
    "sweeper.promotion.finalists",
    "sweeper.cli.search",
    "sweeper.cli.train",
)
TEST_FILES = ("test", "files")

# Every process imports the descriptions of configurations and data sets, so their imports must be fast.
STANDARD_LIBRARY_ONLY = {"sweeper.config", "sweeper.models.layers", "sweeper.data.known.catalog"}

# Distributions whose import name differs.
IMPORT_NAMES = {"scikit-learn": "sklearn", "pillow": "PIL"}


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def nodes(source: str) -> list[ast.AST]:
    """Every node of a file's syntax tree."""
    return list(ast.walk(ast.parse(source)))


@cache
def imported_names(path: str, source: str) -> set[str]:
    """The dotted names of all imports in a file, also inside functions; `from a import b` gives a.b."""
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
    """The imports of each module: a module of sweeper by its name, anything else as written."""
    modules = {module_name(path) for path in files}

    def known(name: str) -> str:
        shorter = name
        while shorter and shorter not in modules:
            shorter = shorter.rpartition(".")[0]
        return shorter or name

    return {module_name(path): {known(name) for name in imported_names(path, source)} for path, source in files.items()}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def package_of(module: str) -> str:
    """`data.known` for sweeper.data.known.catalog, `config` for sweeper.config.models; empty for sweeper itself."""
    name = module.partition(".")[2]
    while name and name not in FLOOR:
        name = name.rpartition(".")[0]
    return name or module.partition(".")[2].partition(".")[0]


def upward_imports(files: Mapping[str, str]) -> list[str]:
    """Imports from the importer's own floor or a higher one, except from its own package."""
    found = []
    for importer, names in import_graph(files).items():
        for name in sorted(n for n in names if within(n, "sweeper")):
            ours, theirs = package_of(importer), package_of(name)
            if ours != theirs and FLOOR.get(theirs, len(FLOORS)) >= (FLOOR | {PUBLIC: len(FLOORS)}).get(ours, -1):
                found.append(f"{importer} imports {name}")
    return found


def import_cycles(files: Mapping[str, str]) -> list[str]:
    """A cycle of modules that import each other, directly or indirectly; empty if there is none."""
    graph = {module: {n for n in names if n in files_by_module(files)} for module, names in import_graph(files).items()}
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        return [" imports ".join(reversed(error.args[1]))]
    return []


def files_by_module(files: Mapping[str, str]) -> dict[str, str]:
    return {module_name(path): source for path, source in files.items()}


def package_shares(files: Mapping[str, str]) -> dict[str, float]:
    """The share of all lines that each package has, with the packages in it."""
    lines: dict[str, int] = {}
    for path, source in files.items():
        package = path.split("/")[1]
        lines[package] = lines.get(package, 0) + source.count("\n")
    return {package: n / sum(lines.values()) for package, n in lines.items()}


def reserved_imports(files: Mapping[str, str]) -> list[str]:
    found = []
    for importer, names in import_graph(files).items():
        for name in sorted(names):
            rules = [importers for reserved, importers in RESERVED.items() if within(name, reserved)]
            if rules and not any(within(importer, who) for who in set().union(*rules)):
                found.append(f"{importer} imports {name}")
    return found


def third_party_imports(start: set[str], files: Mapping[str, str]) -> list[str]:
    """Third-party imports of the modules `start`, of sweeper modules they import, and of the packages around them."""
    graph = import_graph(files)
    found, seen, waiting = [], set(), sorted(start)
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        if (parent := module.rpartition(".")[0]) and parent != "sweeper":  # which imports nothing by itself
            waiting.append(parent)
        for name in sorted(graph[module]):
            if within(name, "sweeper"):
                waiting.append(name)
            elif name.partition(".")[0] not in sys.stdlib_module_names:
                found.append(f"{module} imports {name}")
    return found


def mentions_of_test_files(files: Mapping[str, str]) -> list[str]:
    """Where modules that make choices read an attribute `test` or `files`, directly or by getattr or attrgetter."""
    found = []
    for path, source in files.items():
        module = module_name(path)
        if not any(within(module, who) for who in CHOOSING):
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


def test_every_package_has_a_floor():
    assert {package_of(module_name(path)) for path in FILES} - {""} <= FLOOR.keys()


def test_the_documentation_shows_the_floors():
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `([\w.]+)` \|", text, re.MULTILINE)
    assert {package: int(floor) - 1 for floor, package in rows} == FLOOR


def test_setup_lists_every_package():
    """An installed copy lacks the others, while a checkout, and an editable install, have them all."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    there = {str(Path(path).parent).replace("/", ".") for path in FILES}
    assert set(setup["options"]["packages"].split()) == there | {"sweeper.search_spaces"}


def test_imports_point_downward():
    assert upward_imports(FILES) == []


def test_no_modules_import_each_other_in_a_circle():
    assert import_cycles(FILES) == []


def test_a_circle_of_modules_is_found():
    extra = {
        "sweeper/data/splits.py": "from sweeper.inspection.summary import summarise",
        "sweeper/inspection/summary.py": "from sweeper.data import splits",
    }
    assert import_cycles(FILES | extra) != []


def test_no_package_is_too_large_and_few_modules_stand_alone():
    shares = package_shares(FILES)
    assert {package: share for package, share in shares.items() if share > MOST_LINES} == {}
    assert len([path for path in FILES if path.count("/") == 1]) <= MOST_MODULES


def test_libraries_and_the_test_set_are_imported_where_they_belong():
    assert reserved_imports(FILES) == []


def test_what_chooses_never_names_the_test_files():
    assert mentions_of_test_files(FILES) == []


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        ("sweeper/studies/lifecycle.py", "dataset.test", "sweeper.studies.lifecycle reads .test"),
        ("sweeper/training/loop.py", "def f(d):\n    return d.files", "sweeper.training.loop reads .files"),
        ("sweeper/cli/search.py", "getattr(d, 'test')", "sweeper.cli.search reads .test"),
        ("sweeper/promotion/finalists.py", "d.test", "sweeper.promotion.finalists reads .test"),
        ("sweeper/spaces/reader.py", "operator.attrgetter('test')", "sweeper.spaces.reader reads .test"),
    ],
)
def test_a_mention_of_the_test_files_is_found(path, source, violation):
    assert mentions_of_test_files(FILES | {path: source}) == [violation]


def test_descriptions_need_only_the_standard_library():
    assert third_party_imports(STANDARD_LIBRARY_ONLY, FILES) == []


def test_every_permission_is_used():
    graph = import_graph(FILES)
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
    extras = setup["options.extras_require"]
    required = setup["options"]["install_requires"] + extras["onnx"] + extras["ray"]
    distributions = [re.match(r"[\w.-]+", line).group() for line in required.split("\n") if line]
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in distributions}
    imported = {name.partition(".")[0] for names in import_graph(FILES).values() for name in names}
    assert imported - set(sys.stdlib_module_names) - {"sweeper"} <= declared


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        (
            "sweeper/config/models.py",
            "import sweeper.studies.storage",
            "sweeper.config.models imports sweeper.studies.storage",
        ),
        ("sweeper/config/models.py", "from sweeper import sweep", "sweeper.config.models imports sweeper.sweep"),
        ("sweeper/config/models.py", "from ..sweep import run", "sweeper.config.models imports sweeper.sweep.run"),
        ("sweeper/data/splits.py", "from ..cli import main", "sweeper.data.splits imports sweeper.cli"),
        ("sweeper/data/__init__.py", "from .. import sweep", "sweeper.data imports sweeper.sweep"),
        (
            "sweeper/data/splits.py",
            "def f():\n    from sweeper.models.convnet import ConvNet",
            "sweeper.data.splits imports sweeper.models.convnet",
        ),
        (
            "sweeper/training/loop.py",
            "import importlib\nimportlib.import_module('sweeper.models')",
            "sweeper.training.loop imports sweeper.models",
        ),
        ("sweeper/studies/spec.py", "import sweeper.engine.job", "sweeper.studies.spec imports sweeper.engine.job"),
        (
            "sweeper/engine/job.py",
            "import sweeper.engine.local.pool",
            "sweeper.engine.job imports sweeper.engine.local.pool",
        ),
        ("sweeper/errors.py", "import sweeper.config", "sweeper.errors imports sweeper.config"),
        ("sweeper/cli/search.py", "from sweeper import load_study", "sweeper.cli.search imports sweeper"),
        ("sweeper/api/study.py", "from sweeper.cli import search", "sweeper.api.study imports sweeper.cli.search"),
        ("sweeper/novelty.py", "import sweeper.errors", "sweeper.novelty imports sweeper.errors"),
    ],
)
def test_an_import_that_points_upward_is_found(path, source, violation):
    assert violation in upward_imports(FILES | {path: source})


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        ("sweeper/sweep/run.py", "import click", "sweeper.sweep.run imports click"),
        ("sweeper/sweep/run.py", "from rich import live", "sweeper.sweep.run imports rich.live"),
        ("sweeper/sweep/run.py", "import mlflow.entities", "sweeper.sweep.run imports mlflow.entities"),
        ("sweeper/spaces/space.py", "from optuna import Trial", "sweeper.spaces.space imports optuna.Trial"),
        ("sweeper/training/loop.py", "import optuna", "sweeper.training.loop imports optuna"),
        (
            "sweeper/training/loop.py",
            "from optuna import distributions",
            "sweeper.training.loop imports optuna.distributions",
        ),
        (
            "sweeper/sweep/run.py",
            "from sweeper.data import test_set",
            "sweeper.sweep.run imports sweeper.data.test_set",
        ),
        (
            "sweeper/promotion/finalists.py",
            "from sweeper.data import test_set",
            "sweeper.promotion.finalists imports sweeper.data.test_set",
        ),
        (
            "sweeper/data/training_set.py",
            "from .test_set import find_test_set",
            "sweeper.data.training_set imports sweeper.data.test_set",
        ),
    ],
)
def test_an_import_out_of_place_is_found(path, source, violation):
    assert reserved_imports(FILES | {path: source}) == [violation]


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        ("sweeper/config/models.py", "import numpy as np", "sweeper.config.models imports numpy"),
        ("sweeper/data/__init__.py", "import torch", "sweeper.data imports torch"),
        ("sweeper/errors.py", "def f():\n    import yaml", "sweeper.errors imports yaml"),
    ],
)
def test_a_library_behind_a_description_is_found(path, source, violation):
    assert violation in third_party_imports(STANDARD_LIBRARY_ONLY, FILES | {path: source})
