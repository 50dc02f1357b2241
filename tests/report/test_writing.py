import json
from dataclasses import replace

import pytest

from sweeper.errors import SweeperError
from sweeper.report.writing import check_place, write
from tests.read_only import read_only
from tests.report.reports import report_of


@pytest.mark.parametrize(("form", "name"), [("html", "page.html"), ("json", "report.json"), ("md", "folder")])
def test_an_earlier_report_is_replaced_and_nothing_else_is(form, name, tmp_path):
    path = tmp_path / name
    for text in ("first", "second"):
        write(report_of(text), path, form)
        content = (path / "report.md" if form == "md" else path).read_text(encoding="utf-8")
        assert text in content
    assert [other.name for other in tmp_path.iterdir()] == [name]
    other = tmp_path / "thesis"
    if form == "md":
        other.mkdir()
        (other / "report.md").write_text("my own")
    else:
        other.write_text("my own")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(SweeperError, match="thesis exists and is no"):
        write(report_of("third"), other, form)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("name", ["notes.txt", "notes.md"])
def test_a_folder_with_files_of_ones_own_is_not_replaced(name, tmp_path):
    write(report_of("name"), tmp_path / "folder", "md")
    (tmp_path / "folder" / name).write_text("mine")
    with pytest.raises(SweeperError, match=f"holds {name}"):
        check_place(tmp_path / "folder", "md")


def test_an_empty_folder_may_hold_the_report(tmp_path):
    (tmp_path / "folder").mkdir()
    write(report_of("name"), tmp_path / "folder", "md")
    assert (tmp_path / "folder" / "report.md").is_file()


@pytest.mark.parametrize("form", ["html", "json"])
def test_a_file_that_only_names_the_command_is_not_replaced(form, tmp_path):
    (tmp_path / "nightly.sh").write_text("#!/bin/sh\nsweeper report --output page.html\n")
    with pytest.raises(SweeperError, match="exists and is no"):
        check_place(tmp_path / "nightly.sh", form)


@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_a_missing_folder_is_named_before_the_work(form, tmp_path):
    with pytest.raises(SweeperError, match="is no folder"):
        check_place(tmp_path / "none" / "report", form)


@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_a_read_only_folder_is_named_before_the_work(form, tmp_path):
    folder = tmp_path / "shelf"
    folder.mkdir()
    write(report_of("name"), folder / "earlier", form)
    with read_only(folder):
        for name in ("earlier", "new"):
            with pytest.raises(SweeperError, match=rf"{name} cannot be written: .* \(--output\)"):
                check_place(folder / name, form)


@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_looking_at_the_place_leaves_nothing_there(form, tmp_path):
    check_place(tmp_path / "report", form)
    assert list(tmp_path.iterdir()) == []


def test_a_page_and_a_folder_do_not_replace_each_other(tmp_path):
    write(report_of("name"), tmp_path / "one", "md")
    write(report_of("name"), tmp_path / "two", "html")
    for name, form in (("one", "html"), ("two", "md")):
        with pytest.raises(SweeperError, match="exists and is no"):
            check_place(tmp_path / name, form)


def test_json_has_null_for_numbers_that_it_lacks(tmp_path):
    report = report_of("name")
    report = replace(report, data=replace(report.data, data={"values": [float("nan"), (float("inf"), 1.5)]}))
    write(report, tmp_path / "report.json", "json")
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["data"]["values"] == [None, [None, 1.5]]


def test_json_has_a_schema_version_and_the_data_of_each_section(tmp_path):
    write(report_of("<name>"), tmp_path / "report.json", "json")
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    sections = ("answer", "trials", "importance", "ablation", "frontier", "networks", "data", "provenance")
    assert list(found) == ["generator", "schema_version", "study", *sections]
    assert found["schema_version"] == 1
    assert all(found[name]["name"] == "<name>" for name in sections)
