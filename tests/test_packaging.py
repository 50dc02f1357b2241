import configparser
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
SETUP = configparser.ConfigParser(interpolation=None)
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")

# This runs without site-packages, so that it cannot find a sweeper installed in the tests' own environment.
PROBE = """
import importlib.metadata, importlib.resources, json, site, sys
site.addsitedir(sys.argv[1])
spaces = importlib.resources.files("sweeper.search_spaces")
(command,) = importlib.metadata.entry_points(group="console_scripts", name="sweeper")
print(json.dumps({
    "spaces": {f.name: f.read_text(encoding="utf-8") for f in spaces.iterdir() if f.name.endswith(".toml")},
    "module": __import__("sweeper").__file__,
    "command": command.value,
    "version": importlib.metadata.version("cnn-sweeper"),
}))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The project as in a fresh clone: leftovers of earlier builds could hide a file that is not packaged."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("sweeper", "search_spaces"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return folder


def install(*arguments: str, prefix: Path) -> Path:
    """Installs into `prefix`, without network, and returns its site-packages folder."""
    command = [sys.executable, "-m", "pip", "install", "--prefix", str(prefix), "--ignore-installed", "--no-index"]
    command += ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=prefix.parent)
    assert result.returncode == 0, result.stdout + result.stderr
    (metadata,) = prefix.rglob("cnn_sweeper-*.dist-info")
    assert os.access(next(prefix.rglob("bin/sweeper")), os.X_OK)
    return metadata.parent


def probe(site_packages: Path, cwd: Path) -> dict:
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROBE, str(site_packages)], capture_output=True, text=True, cwd=cwd
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def spaces_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.toml")}


def test_an_installed_copy_has_everything(source: Path, tmp_path: Path):
    site_packages = install(str(source), prefix=tmp_path / "installed")
    found = probe(site_packages, cwd=tmp_path)

    assert Path(found["module"]).is_relative_to(site_packages)
    assert "lenet5.toml" in found["spaces"]
    assert found["spaces"] == spaces_in(ROOT / "search_spaces")
    assert found["command"] == "sweeper.__main__:main"
    assert found["version"] == SETUP["metadata"]["version"]
    # Only an installed copy lacks a package that setup.cfg forgets; a checkout would have it.
    written = {path.relative_to(source) for path in (source / "sweeper").rglob("*.py")}
    packed = {path.relative_to(site_packages) for path in (site_packages / "sweeper").rglob("*.py")}
    assert written <= packed


def test_an_editable_install_follows_the_checkout(source: Path, tmp_path: Path):
    site_packages = install("--editable", str(source), prefix=tmp_path / "editable")
    (source / "search_spaces" / "added.toml").write_text("added = 1\n", encoding="utf-8")
    found = probe(site_packages, cwd=tmp_path)

    assert Path(found["module"]) == source / "sweeper" / "__init__.py"
    assert "lenet5.toml" in found["spaces"]
    assert found["spaces"] == spaces_in(ROOT / "search_spaces") | {"added.toml": "added = 1\n"}
    assert found["command"] == "sweeper.__main__:main"
    assert found["version"] == SETUP["metadata"]["version"]
