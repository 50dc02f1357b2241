"""Plants small faults in sweeper, one at a time, and reports which of them the tests catch.

    python tests/planted_faults.py --count 48 --seed 1 --jobs 2 --output planted.json

Each fault is planted in a copy of the checkout; the checkout itself does not change. The tests of the changed module
run first, then those of its package, then all that `pytest` runs; the first failure ends the run. If no test fails, add
one, or explain why the fault does not change what the program does.

`--only FILE:LINE:COLUMN:KIND` plants only that fault. `--checkout FOLDER` plants the same faults in another checkout,
with other tests and the same `sweeper/`. Arguments after `--` go to pytest: with `-- -m ''`, all tests run.
"""

import argparse
import ast
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from queue import Queue
from typing import Any

ROOT = Path(__file__).parent.parent
# A suite that takes this long hangs because of the fault.
HANGING_SECONDS = 1800
# Conversion factors between units of time, size, percentage and pixel value.
UNITS = {60, 100, 255, 1000, 1024, 3600, 1_000_000, 1e-3, 1e9, 2**20, 2**30}
COMPARISONS = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
ARITHMETIC = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*"}
LOCKS = re.compile(r"lock|owning|initialising|changing_owners|_changed\b|condition", re.IGNORECASE)


@dataclass(frozen=True)
class Fault:
    """A change of the code: its place (line from 1, column from 0), the text there, and the text that replaces it."""

    path: str
    line: int
    column: int
    kind: str
    before: str
    after: str

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}:{self.column}:{self.kind}"


@dataclass(frozen=True)
class Verdict:
    """Whether the tests caught a fault, and by what: the first test that failed, or how the run ended."""

    fault: Fault
    caught: bool
    by: str


def faults_in(path: str, source: str) -> Iterator[Fault]:
    """Every fault that can be planted in a file."""
    content = source.encode()
    starts = [0, *accumulate(len(line) for line in content.splitlines(keepends=True))]

    def text_of(node: Any) -> str:
        start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        return content[start:end].decode()

    def fault(node: Any, kind: str, after: str) -> Fault:
        return Fault(path, node.lineno, node.col_offset, kind, text_of(node), after)

    for node, parent in _code(ast.parse(source, path)):
        match node:
            case ast.Compare(left=left, ops=[operation], comparators=[right]) if type(operation) in COMPARISONS:
                yield fault(node, "comparison", f"({text_of(left)}) {COMPARISONS[type(operation)]} ({text_of(right)})")
            case ast.BinOp(left=left, op=operation, right=right) if type(operation) in ARITHMETIC:
                if not _is_series(left) and not _is_series(right):
                    after = f"(({text_of(left)}) {ARITHMETIC[type(operation)]} ({text_of(right)}))"
                    yield fault(node, "arithmetic", after)
            case ast.BoolOp(op=operation, values=values):
                word = " or " if isinstance(operation, ast.And) else " and "
                yield fault(node, "and/or", f"({word.join(f'({text_of(value)})' for value in values)})")
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as number) if number in UNITS:
                yield fault(node, "unit", f"({text_of(node)} * 10)")
            case ast.Constant(value=int()) if _counts(parent):
                yield fault(node, "off by one", f"({text_of(node)} + 1)")
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                yield fault(test, "negated", f"(not ({text_of(test)}))")
            case ast.Raise() if node.exc is not None:
                yield fault(node, "swallowed", "pass")
            case ast.With(items=[ast.withitem(context_expr=context, optional_vars=None)]):
                if LOCKS.search(text_of(context)):
                    yield fault(context, "dropped lock", "__import__('contextlib').nullcontext()")
            case ast.Expr(value=ast.Call()):
                yield fault(node, "dropped call", "pass")


def _code(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Each node with its parent, except assertions, annotations, and f-strings, whose parts have no exact positions."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Assert | ast.JoinedStr):
                yield child, node
                yield from _code(child)


def _is_series(side: ast.expr) -> bool:
    """Whether an operand is text or a list: there + joins, * repeats, and another operator is a mere TypeError."""
    series = ast.JoinedStr | ast.List | ast.Tuple | ast.ListComp
    return isinstance(side, series) or (isinstance(side, ast.Constant) and isinstance(side.value, str))


def _counts(node: ast.AST) -> bool:
    """Whether an integer in this expression is an index, a bound or a summand."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "range"
    return isinstance(node, ast.BinOp | ast.Compare | ast.Slice | ast.Subscript)


def planted(source: str, fault: Fault) -> str:
    """The source with the fault in it; ValueError if the place holds other text."""
    lines = source.splitlines(keepends=True)
    start = sum(map(len, lines[: fault.line - 1])) + len(lines[fault.line - 1].encode()[: fault.column].decode())
    if not source.startswith(fault.before, start):
        raise ValueError(f"{fault.place} is not {fault.before!r}")
    changed = source[:start] + fault.after + source[start + len(fault.before) :]
    ast.parse(changed)
    return changed


def chosen(root: Path, count: int, seed: int, within: str = "sweeper") -> list[Fault]:
    """Draws `count` faults by `seed`: takes packages in turn, and from each the kind drawn least often so far."""
    draw = random.Random(seed)
    waiting: dict[str, dict[str, list[Fault]]] = {}
    for fault in all_faults(root, within):
        parts = fault.path.split("/")
        package = parts[1] if len(parts) > 2 else "sweeper"
        waiting.setdefault(package, {}).setdefault(fault.kind, []).append(fault)
    faults: list[Fault] = []
    taken: Counter[str] = Counter()
    while len(faults) < count and waiting:
        for package in sorted(waiting):
            kinds = waiting[package]
            kind = min(draw.sample(sorted(kinds), len(kinds)), key=taken.__getitem__)
            taken[kind] += 1
            faults.append(kinds[kind].pop(draw.randrange(len(kinds[kind]))))
            waiting[package] = {kind: found for kind, found in kinds.items() if found}
        waiting = {package: kinds for package, kinds in waiting.items() if kinds}
    return faults[:count]


def all_faults(root: Path, within: str = "sweeper") -> Iterator[Fault]:
    """Every fault that can be planted below a folder of a checkout."""
    place = root / within
    for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
        yield from faults_in(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8"))


def stages(copy: Path, fault: Fault, suite: list[str]) -> list[list[str]]:
    """The arguments of pytest for each stage: the module's own tests, its package's tests, all tests."""
    parts = Path(fault.path).with_suffix("").parts[1:]
    name = parts[-1] if parts[-1] != "__init__" else (parts[-2] if len(parts) > 1 else "sweeper")
    folder = copy / "tests" / Path(*parts[:-1])
    own = sorted(folder.glob(f"test_{name}*.py"))
    around = [folder] if len(parts) > 1 and folder.exists() else sorted(folder.glob("test_*.py"))
    narrow = [[str(path.relative_to(copy)) for path in paths] for paths in (own, around) if paths]
    return [*([*stage, "-n0"] for stage in narrow), suite]


def check_unchanged(copy: Path, suite: list[str]) -> None:
    """Raises RuntimeError if the tests fail without a fault: then a failure would prove nothing."""
    if by := _failure(copy, suite):
        raise RuntimeError(f"the tests fail although no fault was planted: {by}")


def verdict_of(fault: Fault, copy: Path, suite: list[str]) -> Verdict:
    """Plants the fault in the copy, runs the stages, and puts the file back."""
    file = copy / fault.path
    source = file.read_text(encoding="utf-8")
    file.write_text(planted(source, fault), encoding="utf-8")
    try:
        for arguments in stages(copy, fault, suite):
            if by := _failure(copy, arguments):
                return Verdict(fault, True, by)
        return Verdict(fault, False, "")
    finally:
        file.write_text(source, encoding="utf-8")


def _failure(copy: Path, arguments: list[str]) -> str:
    """The first test that fails, or how pytest ended; empty if all pass."""
    # PYTHONPATH puts the copy before an installed sweeper, in every process that the tests start.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *arguments]
    process = subprocess.Popen(
        command, cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=HANGING_SECONDS)
    except subprocess.TimeoutExpired:
        return f"hanging for {HANGING_SECONDS} s"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode in (0, 5):  # 5: pytest found no tests
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    # A fault may keep pytest from loading conftest.py; then no test is named.
    return found.group(1) if found else f"pytest ended with {process.returncode}"


def run(root: Path, faults: list[Fault], jobs: int, suite: list[str], checks: bool) -> Iterator[Verdict]:
    """Yields the verdicts as they arrive, from `jobs` copies of the checkout at once."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copies: Queue[Path] = Queue()
        for number in range(jobs):
            copy = Path(folder) / str(number)
            shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".git", "__pycache__", "*.egg-info", ".venv"))
            copies.put(copy)
        if checks:
            check_unchanged(copy, suite)

        def one(fault: Fault) -> Verdict:
            copy = copies.get()
            try:
                return verdict_of(fault, copy, suite)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(jobs) as threads:
            for verdict in as_completed([threads.submit(one, fault) for fault in faults]):
                yield verdict.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", action="append", default=[], metavar="PLACE")
    parser.add_argument("--within", default="sweeper", help="Plant faults only in this folder or file.")
    parser.add_argument("--checkout", type=Path, default=ROOT)
    parser.add_argument("--unchecked", action="store_true", help="Skip the first run, which is without a fault.")
    parser.add_argument("--output", type=Path, help="A file for the verdicts, as JSON.")
    parser.add_argument("suite", nargs="*", help="Arguments of pytest in the last stage; the default is plain pytest.")
    given = parser.parse_args()
    if given.only:
        faults = [fault for fault in all_faults(ROOT, given.within) if fault.place in given.only]
    else:
        faults = chosen(ROOT, given.count, given.seed, given.within)
    verdicts = []
    for verdict in run(given.checkout, faults, given.jobs, given.suite, not given.unchecked):
        verdicts.append(verdict)
        word = f"caught by {verdict.by}" if verdict.caught else "SURVIVED"
        print(f"{verdict.fault.place}: {verdict.fault.before!r} -> {verdict.fault.after!r}: {word}", flush=True)
        if given.output:
            given.output.write_text(json.dumps([asdict(v) for v in verdicts], indent=1))
    print(f"{sum(v.caught for v in verdicts)} of {len(verdicts)} caught")


if __name__ == "__main__":
    main()
