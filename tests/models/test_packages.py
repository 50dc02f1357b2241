"""Packages that add networks, installed by pip into a folder of their own."""

import importlib
import subprocess
import sys

import pytest

from sweeper.errors import UsageError
from sweeper.models import families, packages
from sweeper.models.own_networks import find
from sweeper.spaces.reader import parse
from tests.models.own_code import NETS, SPACE, forget_code

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "own-nets-of-a-test"
version = "1.0"

[project.entry-points."sweeper.families"]
tiny = "own_nets_of_a_test.nets:TinyNet"

[tool.setuptools]
packages = ["own_nets_of_a_test"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder into which pip has installed a package with networks, built without network."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "own_nets_of_a_test").mkdir()
    (source / "own_nets_of_a_test" / "__init__.py").write_text("")
    (source / "own_nets_of_a_test" / "nets.py").write_text(NETS)
    command = [sys.executable, "-m", "pip", "install", "--target", str(site), "--no-index", "--no-deps"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--no-compile", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return site


def forget():
    for name in [name for name in sys.modules if name.startswith(("own_nets_of_a_test", "own_edited_nets"))]:
        del sys.modules[name]
    for cached in (packages.families, packages.code_sha256, packages._distributions, packages._editable):
        cached.cache_clear()
    importlib.invalidate_caches()


@pytest.fixture
def installed(site, monkeypatch):
    monkeypatch.syspath_prepend(site)
    forget_code(monkeypatch)
    forget()
    yield site
    forget()


def space(*overrides, **changes):
    text = SPACE
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    return parse(text, name="own", file="own.toml", overrides=overrides)


def test_space_names_a_network_of_an_installed_package(installed):
    found = space("network=own_nets_of_a_test.nets:TinyNet").variant("baseline").configuration.model
    assert families.trace(found, (1, 8, 8), 3)[0].name == "conv"
    assert found.values() | {"code_sha256": ""} == {
        "family": "custom", "softmax_output": False, "network": "own_nets_of_a_test.nets:TinyNet", "code_sha256": "",
        "width": 2, "depth": 1, "dropout": 0.0,
    }  # fmt: skip


def test_package_adds_a_family_by_an_entry_point(installed):
    own = ('family = "custom"\nnetwork = "nets:TinyNet"', 'family = "tiny"')
    model = space(own=own).variant("baseline").configuration.model
    assert (model.family, model.network) == ("tiny", "own_nets_of_a_test.nets:TinyNet")
    assert families.build(model, (1, 8, 8), 3).conv.out_channels == 2
    with pytest.raises(UsageError, match=r"network of family tiny must be own_nets_of_a_test.nets:TinyNet, got 'a:b'"):
        space("network=a:b", own=own)


def test_unknown_family_is_refused_with_those_of_packages(installed):
    message = r"family must be one of convnet, mlp, resnet, timm, custom, tiny, got 'tinny'; did you mean tiny\?"
    with pytest.raises(UsageError, match=message):
        space(own=('family = "custom"', 'family = "tinny"'))


def test_changed_package_is_another_code(installed):
    before = find("own_nets_of_a_test.nets:TinyNet").code_sha256
    blocks = installed / "own_nets_of_a_test" / "blocks.py"
    blocks.write_text("x = 1")
    forget()
    try:
        assert find("own_nets_of_a_test.nets:TinyNet").code_sha256 != before
    finally:
        blocks.unlink()


def test_package_that_cannot_be_imported_is_told(installed):
    nets = installed / "own_nets_of_a_test" / "broken.py"
    nets.write_text("import nowhere_to_be_found")
    try:
        with pytest.raises(UsageError, match=r"own_nets_of_a_test.broken cannot be imported: ModuleNotFoundError"):
            find("own_nets_of_a_test.broken:TinyNet")
    finally:
        nets.unlink()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("os:system", "os is of Python's standard library"),
        ("subprocess:run", "subprocess is of Python's standard library"),
        ("nowhere_to_be_found:X", "no installed package has a module nowhere_to_be_found: .* --code nowhere_to"),
        ("own_nets_of_a_test.nets:Nope", "own_nets_of_a_test.nets has no class or function Nope"),
        ("torch.nn:Linear", "must take the arguments input_shape"),
    ],
)
def test_space_alone_runs_only_what_packages_offer_as_networks(installed, network, message):
    with pytest.raises(UsageError, match=message):
        space(f"network={network}")


def test_of_a_package_that_is_being_worked_on_only_its_own_modules_are_installed(tmp_path, monkeypatch):
    forget_code(monkeypatch)
    project = tmp_path / "project"
    record = tmp_path / "site" / "own_edited_nets-1.0.dist-info"  # as `pip install --editable` leaves it
    project.mkdir()
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: own-edited-nets\nVersion: 1.0\n")
    (record / "top_level.txt").write_text("own_edited_nets\n")
    (record / "direct_url.json").write_text(f'{{"url": "{project.as_uri()}", "dir_info": {{"editable": true}}}}')
    for name in ("own_edited_nets", "own_stray_file"):
        (project / f"{name}.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(project)
    forget()
    try:
        assert space("network=own_edited_nets:TinyNet").variants
        with pytest.raises(UsageError, match=r"own_stray_file is found in .*, but is not installed"):
            space("network=own_stray_file:TinyNet")
    finally:
        forget()


def test_file_that_python_finds_is_no_installed_package(tmp_path, monkeypatch):
    forget_code(monkeypatch)
    (tmp_path / "stray_nets_of_a_test.py").write_text("raise SystemExit('run')")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(UsageError, match=r"is not installed, and a space file alone runs no code: name it with --code"):
        space("network=stray_nets_of_a_test:TinyNet")
