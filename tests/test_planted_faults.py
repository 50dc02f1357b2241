"""The script plants each fault as described, and leaves assertions, annotations and texts alone."""

import random
from pathlib import Path

import pytest

from tests.planted_faults import Fault, all_faults, chosen, faults_in, planted, stages

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("line", "kind", "changed"),
    [
        ("x = a < b", "comparison", "x = (a) <= (b)"),
        ("x = a == b", "comparison", "x = (a) != (b)"),
        ("x = a is None", "comparison", "x = (a) is not (None)"),
        ("x = a - b", "arithmetic", "x = ((a) + (b))"),
        ("x = -(a - b.c)", "arithmetic", "x = -(((a) + (b.c)))"),
        ("x = (a := b) == c", "comparison", "x = (a := b) != (c)"),
        ("x = a and b", "and/or", "x = ((a) or (b))"),
        ("x = a[1:]", "off by one", "x = a[(1 + 1):]"),
        ("x = range(3)", "off by one", "x = range((3 + 1))"),
        ("wait(60)", "unit", "wait((60 * 10))"),
        ("x = a if b else c", "negated", "x = a if (not (b)) else c"),
        ("raise ValueError", "swallowed", "pass"),
        ("with self._lock: x = 1", "dropped lock", "with __import__('contextlib').nullcontext(): x = 1"),
        ("print(x)", "dropped call", "pass"),
        ("ä = 'ä' if a < b else c", "comparison", "ä = 'ä' if (a) <= (b) else c"),
    ],
)
def test_each_kind_changes_what_it_is_named_for(line, kind, changed):
    [fault] = [fault for fault in faults_in("file.py", line) if fault.kind == kind]
    assert planted(line, fault) == changed


@pytest.mark.parametrize(
    "line",
    [
        "assert a < b",
        "x: 'int | None' = y",
        "x = 'a' + b",
        "x = a + [b]",
        "x = f'{a - b}'",
        "with open(p): x = 1",
        "'''text'''",
    ],
)
def test_assertions_annotations_and_texts_are_left_alone(line):
    assert list(faults_in("file.py", line)) == []


def test_fault_of_another_source_is_refused():
    with pytest.raises(ValueError, match=r"file\.py:1:4:comparison is not 'a < b'"):
        planted("x = y > z", Fault("file.py", 1, 4, "comparison", "a < b", "a <= b"))


def test_choice_is_the_seeds_and_takes_every_package_and_every_kind():
    faults = chosen(ROOT, 60, seed=1)
    assert faults == chosen(ROOT, 60, seed=1) != chosen(ROOT, 60, seed=2)
    assert len(set(faults)) == 60
    assert {fault.kind for fault in faults} == {fault.kind for fault in all_faults(ROOT)}
    packages = {path.parent.name for path in (ROOT / "sweeper").glob("*/*.py")}
    assert packages <= {fault.path.split("/")[1] for fault in faults}


def test_faults_of_the_project_can_be_planted(pytestconfig):
    # Thousands are found; other ones are drawn each time.
    number = 1000 if pytestconfig.getoption("--thorough") else 300
    sources = {}
    for fault in random.sample(list(all_faults(ROOT)), number):
        source = sources.setdefault(fault.path, (ROOT / fault.path).read_text(encoding="utf-8"))
        assert planted(source, fault) != source


def test_own_tests_come_before_the_packages_and_those_before_all():
    fault = Fault("sweeper/data/splits.py", 1, 0, "comparison", "", "")
    own, package, suite = stages(ROOT, fault, ["-m", "not slow"])
    assert "tests/data/test_splits.py" in own
    assert package == ["tests/data", "-n0"]
    assert suite == ["-m", "not slow"]
