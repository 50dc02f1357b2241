import json

import pytest

from sweeper.store.options import StoreOptions
from tests.promotion.conftest import client, workplace  # noqa: F401
from tests.report.reports import Parsed


@pytest.fixture(scope="module")
def promoted(workplace):  # noqa: F811
    """A study of three trials, promoted and tested."""
    workplace.search("reported", "--epochs", 1)
    workplace.promoted("reported", "--top", 1, "--seeds", 2, "--test")
    return "reported"


@pytest.fixture
def report(workplace, tmp_path, monkeypatch):  # noqa: F811
    """Runs `sweeper report` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, code=0: workplace.run("report", *arguments, *workplace.places, code=code)


def test_the_page_of_a_promoted_study_has_its_answer_and_goes_to_mlflow(promoted, report, client, tmp_path):  # noqa: F811
    result = report(promoted)
    assert result.stdout == "reported-report.html\n"
    assert [path.name for path in tmp_path.iterdir()] == ["reported-report.html"]
    text = (tmp_path / "reported-report.html").read_text(encoding="utf-8")
    shown = " ".join(Parsed(text).texts)
    found = json.loads(report(promoted, "--json", "-q").stdout)
    outcome = found["answer"]["promotion"]
    assert outcome["plain_sentence"] in shown
    assert found["provenance"]["spec"]["data_sha256"] in shown
    assert all(command in shown for command in found["provenance"]["commands"])
    run_id = found["provenance"]["run_id"]
    assert [file.path for file in client.list_artifacts(run_id, "report")] == ["report/reported-report.html"]


def test_a_running_study_is_a_snapshot_that_mlflow_does_not_get(workplace, promoted, report, client, tmp_path):  # noqa: F811
    with StoreOptions(workplace.store).resolve({}).owning(promoted):
        result = report(promoted, "--format", "json", "--output", "snapshot.json")
        found = json.loads((tmp_path / "snapshot.json").read_text(encoding="utf-8"))
        assert found["study"]["is_snapshot"] is True
        assert "MLflow gets no copy" not in result.stderr  # only a page goes there
        before = client.list_artifacts(found["provenance"]["run_id"], "report")
        assert "MLflow gets no copy" in report(promoted, "--output", "snapshot.html").stderr
        assert client.list_artifacts(found["provenance"]["run_id"], "report") == before


def test_json_has_shares_and_all_sections(promoted, report, tmp_path):
    found = json.loads(report(promoted, "--json", "-q").stdout)
    assert found["schema_version"] == 1
    assert len(found["trials"]["trials"]) == 3
    assert all(0 <= trial["value"] <= 1 for trial in found["trials"]["trials"])
    assert found["provenance"]["parts"].keys() == {"train", "validation", "confirm"}
    assert len(found["provenance"]["test_looks"]) == 1
    assert found["data"]["training"]["images"] == 300
    assert found["data"]["test"] is None
    assert list(tmp_path.iterdir()) == []
    report(promoted, "--format", "json")
    written = json.loads((tmp_path / "reported-report.json").read_text(encoding="utf-8"))
    # The time of the report and latencies differ each time.
    assert written.keys() == found.keys()
    assert all(written[name] == found[name] for name in ("trials", "importance", "data", "provenance"))


def test_markdown_has_its_pictures_beside_it(promoted, report, tmp_path):
    report(promoted, "--format", "md", "--output", tmp_path / "folder")
    text = (tmp_path / "folder" / "report.md").read_text(encoding="utf-8")
    pictures = [path.name for path in (tmp_path / "folder").glob("*.png")]
    assert pictures
    assert all(f"]({name})" in text for name in pictures)


def test_an_unpromoted_study_says_so_and_names_the_promotion(workplace, report):  # noqa: F811
    workplace.search("unpromoted", "--epochs", 1)
    found = json.loads(report("unpromoted", "--json", "-q").stdout)
    assert found["answer"]["promoted"] is False
    assert [trial["value"] for trial in found["answer"]["ranking"]] == sorted(
        (trial["value"] for trial in found["trials"]["trials"]), reverse=True
    )
    assert found["provenance"]["test_looks"] == []


def test_data_that_were_moved_are_said_and_the_rest_is_shown(workplace, report, promoted, tmp_path):  # noqa: F811
    result = workplace.run("report", promoted, "--json", "--data-dir", tmp_path, "--store", workplace.store)
    found = json.loads(result.stdout)
    assert "training" not in found["data"]
    assert found["answer"]["promoted"] is True


def test_a_note_on_the_images_is_said_once_and_is_nothing_that_was_left_out(promoted, report, tmp_path):
    (tmp_path / "tiny").mkdir()  # a note says that this folder is not the data set
    result = report(promoted, "--json")
    assert result.stderr.count("is the known data set, not the folder of this name here") == 1
    assert "known data set" not in str(json.loads(result.stdout)["networks"]["left_out"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--json", "--output", "x.html"), "--json prints the report"),
        (("--json", "--open"), "--json prints the report"),
        (("--format", "md", "--open"), "--open shows a page"),
        (("none",), "no study 'none'"),
    ],
)
def test_contradicting_options_and_unknown_studies_are_refused(arguments, named, promoted, report, tmp_path):
    result = report(*(arguments if arguments == ("none",) else (promoted, *arguments)), code=2)
    assert named in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_ones_own_is_kept(promoted, report, tmp_path):
    (tmp_path / "reported-report.html").write_text("mine")
    result = report(promoted, code=1)
    assert "is no html report of sweeper's" in result.stderr
    assert (tmp_path / "reported-report.html").read_text() == "mine"
