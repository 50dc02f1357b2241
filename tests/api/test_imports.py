"""Each program is a process of its own, because it counts what it has imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sweeper

ROOT = Path(__file__).parents[2]


def imported(code):
    """The modules that a new Python imports to run the code, beside those that it has from the start."""
    probe = f"import sys, json; before = set(sys.modules)\n{code}\nprint(json.dumps([*set(sys.modules) - before]))"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ
    )
    return set(json.loads(done.stdout))


def test_import_takes_one_module_and_nothing_slow():
    assert imported("import sweeper") - imported("import typing") == {"sweeper"}


def test_errors_are_there_without_the_libraries_that_train():
    found = imported("import sweeper; sweeper.SweeperError, sweeper.UsageError")
    assert not {"torch", "mlflow", "optuna", "numpy", "pandas"} & found


def test_functions_import_no_library_that_trains_before_they_are_called():
    found = imported("import sweeper; sweeper.search, sweeper.promote, sweeper.load_study, sweeper.load_model")
    assert not {"torch", "mlflow", "optuna"} & found


def test_public_names_are_found_and_listed():
    assert set(sweeper.__all__) <= set(dir(sweeper))
    assert {name: getattr(sweeper, name).__name__ for name in sweeper.__all__} == {n: n for n in sweeper.__all__}
    assert not hasattr(sweeper, "sarch")


USER = """
import sweeper
from pathlib import Path

study = sweeper.search(Path("photos"), trials=20, epochs=5, resize=32, timeout="90m", set={"lr": 1e-3})
frame = study.trials
best = study.best
if best is not None:
    print(best.params["lr"], best.value)
result = sweeper.promote(study, top=2, test=True)
sentences: list[str] = result.verdict
model = sweeper.load_model(result.model)
for prediction in model.predict(["a.jpg", Path("b.png")]):
    label: str = prediction.classes[0]
"""


@pytest.mark.slow
def test_a_users_program_passes_mypy_and_one_with_a_mistake_does_not(tmp_path):
    (tmp_path / "right.py").write_text(USER)
    (tmp_path / "wrong.py").write_text("import sweeper\nsweeper.search('photos', trials='20', epoch=5)\n")
    # Large libraries would take mypy a minute, and are in no signature of the program.
    large = ",".join(f"{name}.*" for name in ("torch", "mlflow", "optuna", "pandas", "numpy", "scipy", "PIL", "rich"))
    (tmp_path / "mypy.ini").write_text(
        f"[mypy]\nfollow_imports = silent\n[mypy-{large}]\nfollow_imports = skip\nignore_missing_imports = True\n"
    )
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [*command, "right.py", "wrong.py"],
        capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"MYPYPATH": str(ROOT)},
    )  # fmt: skip
    assert "right.py" not in done.stdout
    assert 'Unexpected keyword argument "epoch"' in done.stdout
    assert 'Argument "trials" to "search" has incompatible type "str"' in done.stdout
