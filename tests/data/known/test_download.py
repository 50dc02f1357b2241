import gzip
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.data.known import download, locate
from sweeper.data.known.catalog import DATASETS, FASHION_MNIST
from sweeper.errors import SweeperError
from tests.commands.processes import DEADLINE
from tests.data.mirrors import served, use_mirrors
from tests.hostile import within

real_mirrors = download.mirrors  # every test replaces it


@pytest.fixture
def mirror(dataset, tmp_path, monkeypatch):
    """A mirror on this machine that serves tmp_path/mirror, and the list of requested paths."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for file in dataset.files:
        (folder / f"{file.name}.gz").write_bytes(gzip.compress((tmp_path / "data" / file.name).read_bytes()))
    with served(folder) as (url, asked):
        use_mirrors(monkeypatch, url)
        yield asked


def cached(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "tiny").iterdir())


def test_mirrors_are_torchvisions():
    from torchvision.datasets import FashionMNIST

    assert real_mirrors(FASHION_MNIST) == FashionMNIST.mirrors
    assert [real_mirrors(DATASETS[name]) for name in ("kmnist", "cifar100_coarse", "svhn", "stl10")] == [
        ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
        ["https://www.cs.toronto.edu/~kriz/"],
        ["http://ufldl.stanford.edu/housenumbers/"],
        ["http://ai.stanford.edu/~acoates/stl10/"],
    ]


def test_download_brings_all_files_and_the_next_read_needs_no_network(dataset, tmp_path, mirror, notes):
    found = locate.read(dataset, dataset.training, notify=notes.append)
    assert found.folder == tmp_path / "cache" / "tiny"
    assert cached(tmp_path) == sorted(file.name for file in dataset.files)
    assert len(mirror) == len(notes) == 4
    locate.read(dataset, dataset.files, offline=True, notify=notes.append)
    assert len(mirror) == 4


def test_missing_test_file_does_not_block_training(dataset, tmp_path, mirror, notes):
    (tmp_path / "mirror" / "t10k-images-idx3-ubyte.gz").unlink()
    locate.read(dataset, dataset.training, notify=notes.append)
    assert cached(tmp_path) == sorted([*(file.name for file in dataset.training), dataset.test[1].name])
    with pytest.raises(SweeperError, match=r"t10k-images-idx3-ubyte.gz: HTTP 404"):
        locate.read(dataset, dataset.test, notify=notes.append)


def test_test_files_in_the_cache_are_left_alone_by_a_download_for_training(dataset, tmp_path, mirror, notes):
    cache = tmp_path / "cache" / "tiny"
    cache.mkdir()
    for file in dataset.test:
        (cache / file.name).write_bytes(b"not looked at")
    locate.read(dataset, dataset.training, notify=notes.append)
    assert not any("t10k" in path for path in mirror)
    assert {(cache / file.name).read_bytes() for file in dataset.test} == {b"not looked at"}


def test_altered_download_is_never_stored(dataset, tmp_path, mirror, notes):
    path = tmp_path / "mirror" / "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(SweeperError, match=r"SHA-256 must be .*http://127.*train-labels-idx1-ubyte.gz"):
        locate.read(dataset, dataset.training, notify=notes.append)
    assert "train-labels-idx1-ubyte" not in cached(tmp_path)


def test_truncated_download_is_never_stored(dataset, tmp_path, mirror, notes):
    path = tmp_path / "mirror" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SweeperError, match=r"truncated.*train-images-idx3-ubyte.gz"):
        locate.read(dataset, dataset.training, notify=notes.append)
    assert "train-images-idx3-ubyte" not in cached(tmp_path)


def test_bad_file_in_the_cache_is_replaced(dataset, tmp_path, mirror, notes):
    cache = tmp_path / "cache" / "tiny"
    cache.mkdir()
    (cache / dataset.training[0].name).write_bytes(b"half a fi")
    locate.read(dataset, dataset.training, notify=notes.append)
    assert "skipped a bad file" in notes[0]
    locate.read(dataset, dataset.training, offline=True, notify=notes.append)


def test_next_mirror_serves_what_the_first_cannot(dataset, tmp_path, mirror, monkeypatch, notes):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        unreachable = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        use_mirrors(monkeypatch, unreachable, *download.mirrors(dataset))
        locate.read(dataset, dataset.training, notify=notes.append)
    assert sum(unreachable in note for note in notes) == 1  # the other files are not requested from it


def test_silent_mirror_is_given_up_after_the_timeout(dataset, monkeypatch, notes):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_mirrors(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        monkeypatch.setattr(download, "MIRROR_TIMEOUT", 0.2)
        with within(), pytest.raises(SweeperError, match="timed out"):
            locate.read(dataset, dataset.training, notify=notes.append)


def test_cache_that_cannot_be_written_is_named(dataset, tmp_path, mirror, notes):
    (tmp_path / "cache" / "tiny").write_text("a file where the folder should be")
    with pytest.raises(SweeperError, match=r"could not be stored.*cache/tiny.*SWEEPER_CACHE_DIR"):
        locate.read(dataset, dataset.training, notify=notes.append)


FETCHING_PROCESS = """
import sys
from pathlib import Path
from sweeper.data.known import download, locate
from tests.fake_data import write_fake_dataset
dataset = write_fake_dataset(Path(sys.argv[2]))
download.mirrors = lambda dataset: [sys.argv[1]]
sys.stdin.readline()
locate.read(dataset, dataset.training, notify=lambda note: None)
"""


def test_processes_that_fetch_at_once_all_succeed(dataset, tmp_path, mirror, monkeypatch, notes):
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", FETCHING_PROCESS, download.mirrors(dataset)[0]]
    processes = [
        subprocess.Popen([*command, str(tmp_path / f"copy{n}")], stdin=subprocess.PIPE, text=True, cwd=root)
        for n in range(3)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=DEADLINE)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert cached(tmp_path) == sorted(file.name for file in dataset.files)
    locate.read(dataset, dataset.files, offline=True, notify=notes.append)


@pytest.fixture
def fake_apt(dataset, tmp_path, monkeypatch) -> Path:
    """Fakes apt-get and dpkg-deb, which "download" tmp_path/package; the result has apt's configuration and calls."""
    package = tmp_path / "package"
    folder = package / dataset.debian_folder.lstrip("/")
    folder.mkdir(parents=True)
    for file in dataset.files:
        (folder / f"{file.name}.gz").write_bytes(gzip.compress((tmp_path / "data" / file.name).read_bytes()))
    record = tmp_path / "record"
    record.mkdir()
    write_tool(
        tmp_path,
        "apt-get",
        f"""
        [ "$1 $2" = "-q -c" ] || exit 9
        cp "$3" {record}/configuration; pwd > {record}/folder; echo "$4 $5" >> {record}/calls
        case $4 in
            update) [ -d lists/partial ] && [ -d cache/archives/partial ] ;;
            download) echo a package > $5_1.0_all.deb ;;
        esac""",
    )
    write_tool(tmp_path, "dpkg-deb", f'[ "$1" = -x ] && [ -f "$2" ] && cp -r {package} "$3"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    return record


def write_tool(tmp_path: Path, name: str, script: str) -> None:
    path = tmp_path / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_debians_package_is_unpacked_privately_when_no_mirror_serves(dataset, tmp_path, fake_apt, notes):
    found = locate.read(dataset, dataset.training, notify=notes.append)
    assert found.folder == tmp_path / "cache" / "tiny"
    assert cached(tmp_path) == sorted(file.name for file in dataset.files)
    assert (fake_apt / "calls").read_text().split("\n")[:2] == ["update ", "download dataset-fake"]
    private = (fake_apt / "folder").read_text().strip()
    configuration = (fake_apt / "configuration").read_text()
    assert f'Dir::State::Lists "{private}/lists";' in configuration
    assert f'Dir::Cache "{private}/cache";' in configuration
    assert "#clear APT::Update;" in configuration
    assert not Path(private).exists()


def test_apt_is_left_alone_when_a_mirror_serves_all(dataset, mirror, fake_apt, notes):
    locate.read(dataset, dataset.training, notify=notes.append)
    assert not (fake_apt / "calls").exists()


def test_apt_fetches_only_what_the_mirrors_did_not(dataset, tmp_path, mirror, fake_apt, notes):
    (tmp_path / "mirror" / "t10k-images-idx3-ubyte.gz").unlink()
    locate.read(dataset, dataset.training, notify=notes.append)
    assert cached(tmp_path) == sorted(file.name for file in dataset.files)


def test_altered_file_in_debians_package_is_never_stored(dataset, tmp_path, fake_apt, notes):
    path = tmp_path / "package" / dataset.debian_folder.lstrip("/") / "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(SweeperError, match=r"Debian's package dataset-fake: SHA-256 must be"):
        locate.read(dataset, dataset.training, notify=notes.append)
    assert "train-labels-idx1-ubyte" not in cached(tmp_path)


def test_failing_apt_is_reported_with_its_complaints_but_no_password(dataset, tmp_path, fake_apt, notes):
    script = """
    [ $4 = update ] && echo "W: Failed to fetch https://user:secret@example.invalid/x  No route" >&2 && exit 0
    echo "E: Unable to locate package $5" >&2; exit 100"""
    write_tool(tmp_path, "apt-get", script)
    with pytest.raises(SweeperError) as caught:
        locate.read(dataset, dataset.training, notify=notes.append)
    message = str(caught.value)
    assert "apt-get ended with 100: E: Unable to locate package dataset-fake" in message
    assert "W: Failed to fetch https://example.invalid/x  No route" in message
    assert "secret" not in message


def test_hanging_apt_is_given_up(dataset, tmp_path, fake_apt, monkeypatch, notes):
    write_tool(tmp_path, "apt-get", "exec sleep 60")
    monkeypatch.setattr(download, "APT_TIMEOUT", 0.2)
    with pytest.raises(SweeperError, match=r"apt-get took longer than 0.2 s"):
        locate.read(dataset, dataset.training, notify=notes.append)


@pytest.mark.parametrize("absent", ["apt-get", "dpkg-deb"])
def test_missing_apt_is_reported(dataset, tmp_path, fake_apt, monkeypatch, notes, absent):
    (tmp_path / "bin" / absent).unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(SweeperError, match=f"dataset-fake: {absent} not found on this machine"):
        locate.read(dataset, dataset.training, notify=notes.append)
    assert shutil.which(absent) is None
