import csv
import io
import json

import pytest

from tests.hostile import error_line
from tests.promotion.conftest import workplace  # noqa: F401


@pytest.fixture(scope="module")
def found(workplace):  # noqa: F811
    """Runs `sweeper trials` on a study of three trials."""
    workplace.search("listed", "--trials", 3, "--epochs", 1)
    return lambda *options: workplace.run("trials", "listed", "--store", workplace.store, *options)


@pytest.fixture(autouse=True)
def no_columns(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)


def test_columns_give_the_width_in_a_pipe(found, monkeypatch):
    whole = found().stdout
    assert "Left out" not in whole
    monkeypatch.setenv("COLUMNS", "60")
    narrow = found().stdout.splitlines()
    assert max(map(len, narrow[:-1])) <= 60  # the last is a sentence on the scores
    assert "Left out at 60 columns:" in " ".join(narrow)
    for unusable in ("0", "-3", "x", "9" * 5000):
        monkeypatch.setenv("COLUMNS", unusable)
        assert found().stdout == whole


def test_top_lists_the_best_and_sort_chooses_others(found):
    def numbers(*options):
        return [trial["number"] for trial in json.loads(found("--json", *options).stdout)["trials"]]

    values = {trial["number"]: trial["value"] for trial in json.loads(found("--json").stdout)["trials"]}
    assert numbers() == [0, 1, 2]
    assert numbers("--top", 2) == sorted(values, key=lambda number: (-values[number], number))[:2]
    assert numbers("--sort", "-number", "--top", 1) == [2]
    assert found("--top", 2).stdout.startswith("listed: 2 of 3 trials\n")


def test_csv_has_the_trials_of_json_in_full_precision(found, tmp_path):
    trials = json.loads(found("--json").stdout)["trials"]
    path = tmp_path / "trials.csv"
    path.write_text("number,an older list")
    written = found("--csv", path)
    assert (written.stdout, written.stderr) == ("", f"3 rows in {path}\n")
    assert found("--csv", tmp_path / "one.csv", "--top", 1).stderr == f"1 row in {tmp_path}/one.csv\n"
    assert found("--csv", "-").stderr == ""
    text = path.read_text(encoding="utf-8")
    assert found("--csv", "-").stdout == text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [float(row["value"]) for row in rows] == [trial["value"] for trial in trials]
    assert [float(row["params.lr"]) for row in rows[1:]] == [trial["params"]["lr"] for trial in trials[1:]]
    assert {name for trial in trials for name in trial["params"]} <= {
        name.removeprefix("params.") for name in rows[0] if name.startswith("params.")
    }
    assert json.loads(rows[0]["params.hidden"]) == [8]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv", "trials.csv"]


def test_csv_that_cannot_be_written_and_two_forms_at_once_are_refused(workplace, found, tmp_path):  # noqa: F811
    from click.testing import CliRunner

    from sweeper.cli import main

    def refused(*options):
        return CliRunner().invoke(main, ["trials", "listed", "--store", str(workplace.store), *map(str, options)])

    missing = refused("--csv", tmp_path / "none" / "trials.csv")
    assert missing.exit_code == 1
    assert f"{tmp_path}/none/trials.csv cannot be written: No such file or directory (--csv)" in error_line(missing)
    database = workplace.store / "optuna.db"
    assert f"{database} exists and is no such table" in error_line(refused("--csv", database))
    both = refused("--csv", "-", "--json")
    assert both.exit_code == 2
    assert "--csv and --json" in error_line(both)
    assert not (tmp_path / "none").exists()
