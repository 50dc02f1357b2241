import base64
import hashlib
import json
import re

import pytest

from sweeper.report.page import as_data, page
from tests.report.reports import HOSTILE, Parsed, report_of


@pytest.fixture(scope="module", autouse=True)
def short():
    """Each picture would be drawn in two colours for each of the texts, and Plotly's script parsed."""
    with pytest.MonkeyPatch.context() as patch:
        from sweeper.report import page as module
        from sweeper.report.pictures import Picture

        drawn = {ground: Picture(ground.encode(), 8.0) for ground in ("light", "dark")}
        patch.setattr(module, "pictures", lambda plot: drawn)
        patch.setattr(module, "get_plotlyjs", lambda: "Plotly;")
        yield


@pytest.fixture(scope="module")
def harmless():
    return Parsed(page(report_of("name")))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_changes_no_element_of_the_page(text, harmless):
    found = Parsed(page(report_of(text)))
    assert [tag for tag, _ in found.elements] == [tag for tag, _ in harmless.elements]
    assert [sorted(attributes) for _, attributes in found.elements] == [
        sorted(attributes) for _, attributes in harmless.elements
    ]
    # The scripts are the same; what differs is data, in which the name is whole.
    ours = [text for kind, text in found.scripts if kind != "application/json"]
    assert ours == [text for kind, text in harmless.scripts if kind != "application/json"]
    (data,) = [text for kind, text in found.scripts if kind == "application/json"]
    assert json.loads(data)["data"][0]["name"] == text
    assert not re.search("[<>&\u2028\u2029]", data)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "{{7*7}}", '" onload="alert(1)', "javascript:alert(1)"])
def test_a_hostile_name_is_shown_as_it_is(text):
    shown = Parsed(page(report_of(text))).texts
    assert sum(text in one for one in shown) > 50


def test_the_page_refers_to_nothing_outside_itself(harmless):
    addresses = [
        value
        for _, attributes in harmless.elements
        for name, value in attributes.items()
        if name in ("src", "srcset", "href", "action", "data")
    ]
    assert addresses
    assert all(value.startswith(("#", "data:image/")) for value in addresses)
    assert not [tag for tag, _ in harmless.elements if tag in ("link", "iframe", "object", "embed", "form", "base")]
    style = next(text for kind, text in harmless.scripts if kind == "style")
    assert "url(" not in style
    assert "@import" not in style


def test_only_the_scripts_of_the_page_may_run(harmless):
    (policy,) = [meta["content"] for meta in harmless.all("meta") if "http-equiv" in meta]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    scripts = [text for kind, text in harmless.scripts if kind == ""]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert rules["script-src"].split() == [f"'sha256-{one}'" for one in hashes]
    assert scripts.count("Plotly;") == 1
    # The policy comes before anything that it must hold for.
    assert [tag for tag, _ in harmless.elements].index("meta") < [tag for tag, _ in harmless.elements].index("script")


def test_every_section_is_reached_from_the_contents_and_says_how_to_read_it(harmless):
    links = [attributes["href"].removeprefix("#") for attributes in harmless.all("a")]
    sections = [attributes["id"] for attributes in harmless.all("section")]
    assert links == [sections[0], *sections]
    assert len(sections) == 7
    ids = [attributes["id"] for _, attributes in harmless.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_picture_has_a_text_and_a_dark_version(harmless):
    images = harmless.all("img")
    assert [image["class"] for image in images] == ["light", "dark"]
    assert {image["alt"] for image in images} == {"name"}
    assert images[0]["src"] != images[1]["src"]


def test_a_page_without_interactive_figures_has_no_plotly():
    from dataclasses import replace

    report = report_of("name")
    plain = replace(report, answer=report.trials)
    assert "Plotly;" not in [text for _, text in Parsed(page(plain)).scripts]


def test_a_study_that_is_running_is_called_a_snapshot():
    assert len(page(report_of("name", is_snapshot=True))) > len(page(report_of("name")))


def test_data_keep_their_values():
    value = {"<a&b>": ["\u2028</script>", 1.5, None, True]}
    assert json.loads(as_data(value)) == value


def test_secrets_are_hidden():
    found = page(report_of("https://user:secret@example.org/mlflow"))
    assert "secret" not in "".join(Parsed(found).texts)
