"""Downloads data files: from the addresses that torchvision knows, then from Debian's package through apt."""

import hashlib
import re
import shutil
import subprocess
import tempfile
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from sweeper.data.known import archives, verified_files
from sweeper.data.known.catalog import DataFile, Dataset
from sweeper.data.known.transfer import NETWORK_ERRORS, blocks
from sweeper.errors import SweeperError

# Seconds of silence after which a mirror is given up: behind a firewall, the first search must not seem to hang.
MIRROR_TIMEOUT = 5.0
# The same for an archive; longer, because giving up after a pause would throw away minutes of downloading.
ARCHIVE_TIMEOUT = 30.0
# apt needs 5 s on a fast line (package lists and 30 MB); this is enough for a line a hundred times slower.
APT_TIMEOUT = 600.0

# Runs apt in a private folder. apt reads `-c` after the system's configuration, so this one takes precedence. The
# update hooks are cleared: run by root, they would clean the system's package cache and refresh its catalogue.
APT_CONFIGURATION = """\
#clear APT::Update;
Dir::State::Lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
"""


def download(dataset: Dataset, wanted: Sequence[DataFile], folder: Path, notify: Callable[[str], None]) -> list[str]:
    """Downloads the `wanted` files into `folder`, and stores each only if its digest matches.

    A file is stored decompressed, unless its digest is that of the compressed file. Returns why each attempt failed; a
    file that no source has is absent afterwards. Raises SweeperError if `folder` cannot be written.
    """
    missing = list(wanted)
    failures: list[str] = []
    for source in (_from_mirrors, _from_debian):
        if missing and (source is not _from_debian or dataset.debian_package):
            failures += source(dataset, missing, folder, notify)
    return failures


def mirrors(dataset: Dataset) -> list[str]:
    """The addresses at which torchvision looks for the files of `dataset`, or for the archive with these files."""
    from torchvision import datasets  # takes seconds, and only a download needs it

    known = getattr(datasets, dataset.torchvision)
    if dataset.format == "idx":
        return list(known.mirrors)
    url = known.split_list["train"][0] if dataset.format == "svhn" else known.url
    return [f"{url.rpartition('/')[0]}/"]


def _from_mirrors(dataset: Dataset, missing: list[DataFile], folder: Path, notify: Callable[[str], None]) -> list[str]:
    """Downloads `missing` files from the mirrors and removes them from that list; returns the failures."""
    failures = []
    for mirror in mirrors(dataset):
        base = mirror.rstrip("/")
        if dataset.archive is not None:
            url = f"{base}/{dataset.archive.name}"
            failures += _from_archive(dataset.archive, url, dataset.folder, missing, folder, notify)
            continue
        for file in tuple(missing):
            compressed = dataset.format == "idx" and not file.name.endswith(".gz")
            url = f"{base}/{file.name}{'.gz' if compressed else ''}"
            notify(f"downloading {url}")
            try:
                content = verified_files.check(_fetched(file, url, notify), file, url)
            except NETWORK_ERRORS as error:
                failures.append(f"{url}: {_reason(error)}")
                if not isinstance(error, urllib.error.HTTPError):
                    break  # the mirror itself is unreachable: asking for the other files would only take longer
            except SweeperError as error:
                failures.append(str(error))
            else:
                _keep(folder, file, content)
                missing.remove(file)
    return failures


def _from_archive(
    archive: DataFile,
    url: str,
    archive_folder: str,
    missing: list[DataFile],
    folder: Path,
    notify: Callable[[str], None],
) -> list[str]:
    """Downloads the archive, keeps its `missing` files and removes them from that list; returns the failures."""
    kept = sum(file.size for file in missing)
    notify(f"downloading {url} ({archive.size / 1e6:,.0f} MB; the files that are kept take {kept / 1e6:,.0f} MB)")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The file has no name, so nothing is left however this process ends. It is in `folder`, which should have room.
        with tempfile.TemporaryFile(dir=folder) as stream:
            _copy(archive, url, stream, notify)
            stream.seek(0)
            for file, content in archives.members(stream, archive_folder, tuple(missing), url):
                _keep(folder, file, content)
                missing.remove(file)
    except OSError as error:
        raise _NotStored(archive, folder, error) from None
    except _NotStored:
        raise
    except SweeperError as error:
        return [str(error)]
    return [f"{url}: holds no {archive_folder}/{file.name}" for file in missing]


def _fetched(file: DataFile, url: str, notify: Callable[[str], None]) -> bytes:
    """The content at `url`, or a beginning that is too long for `file`. Raises one of NETWORK_ERRORS."""
    data, most = bytearray(), verified_files.read_limit(file)
    # The size is that of the content, which mirrors may send compressed.
    total = None if url.endswith(".gz") else file.size
    for block in blocks(url, MIRROR_TIMEOUT, total, notify):
        data += block
        if len(data) > most:
            break
    return bytes(data)


def _copy(archive: DataFile, url: str, stream: IO[bytes], notify: Callable[[str], None]) -> None:
    """Writes the archive, which may not fit into memory, to `stream`.

    Raises SweeperError unless its size and digest match, and OSError if `stream` cannot be written.
    """
    digest, size = hashlib.new(archive.algorithm), 0
    for block in _blocks(archive, url, notify):
        digest.update(block)
        size += len(block)
        if size > archive.size:
            raise SweeperError(f"size must be {archive.size:,} bytes, got more ({url})")
        stream.write(block)
    if size < archive.size:
        raise SweeperError(f"size must be {archive.size:,} bytes, it is truncated to {size:,} ({url})")
    verified_files.check_digest(digest, archive, url)


def _blocks(archive: DataFile, url: str, notify: Callable[[str], None]) -> Iterator[bytes]:
    """The content at `url`, block by block; SweeperError if the download fails."""
    try:
        yield from blocks(url, ARCHIVE_TIMEOUT, archive.size, notify)
    except NETWORK_ERRORS as error:
        raise SweeperError(f"{url}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    match error:
        case urllib.error.HTTPError():
            return f"HTTP {error.code} {error.reason}"
        case urllib.error.URLError():
            return str(error.reason)
    return str(error)


def _from_debian(dataset: Dataset, missing: list[DataFile], folder: Path, notify: Callable[[str], None]) -> list[str]:
    """Unpacks Debian's package in a private folder and keeps the `missing` files; returns the failures."""
    place = f"Debian's package {dataset.debian_package}"
    tools = {name: shutil.which(name) for name in ("apt-get", "dpkg-deb")}
    absent = [name for name, path in tools.items() if path is None]
    if absent:
        return [f"{place}: {' and '.join(absent)} not found on this machine"]
    notify(f"downloading {place} with apt into a private folder (nothing is installed)")
    with tempfile.TemporaryDirectory(prefix="sweeper-apt-") as private:
        try:
            unpacked = _unpack_package(dataset.debian_package, Path(private), tools)
        except (SweeperError, OSError) as error:
            return [f"{place}: {error}"]
        failures = []
        for file in tuple(missing):
            paths = verified_files.candidates(unpacked / dataset.debian_folder.lstrip("/"), file)
            if not paths:
                failures.append(f"{place}: holds no {dataset.debian_folder}/{file.name}")
                continue
            try:
                content = verified_files.read(paths[0], file)
            except SweeperError as error:
                failures.append(f"{place}: {error}")
            else:
                _keep(folder, file, content)
                missing.remove(file)
        return failures


def _unpack_package(package: str, private: Path, tools: dict[str, str | None]) -> Path:
    """The folder with the package's files, under `private`. Needs no root, and changes nothing else."""
    (private / "lists" / "partial").mkdir(parents=True)
    (private / "cache" / "archives" / "partial").mkdir(parents=True)
    configuration = private / "apt.conf"
    configuration.write_text(APT_CONFIGURATION.format(folder=private))
    apt = [str(tools["apt-get"]), "-q", "-c", str(configuration)]
    complaint = _run([*apt, "update"], private)
    try:
        _run([*apt, "download", package], private)
    except SweeperError as error:
        # `apt-get update` exits with 0 even if every server was unreachable; only its complaint gives the reason.
        reason = f"; before that, apt-get update: {complaint}" if complaint else ""
        raise SweeperError(f"{error}{reason}") from None
    packages = sorted(private.glob("*.deb"))
    if not packages:
        raise SweeperError("apt-get download left no package")
    unpacked = private / "unpacked"
    _run([str(tools["dpkg-deb"]), "-x", str(packages[0]), str(unpacked)], private)
    return unpacked


def _run(command: list[str], folder: Path) -> str:
    """Runs `command` in `folder`; returns its first complaint, if any, or raises it as SweeperError on failure."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=APT_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise SweeperError(f"{name} took longer than {APT_TIMEOUT:g} s") from None
    lines = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:", "dpkg-deb:"))]
    complaint = _without_password(lines[0] if lines else "")
    if done.returncode != 0:
        raise SweeperError(f"{name} ended with {done.returncode}: {complaint or 'no message'}")
    return complaint


def _without_password(text: str) -> str:
    """`text` without the user and password that a package source's URL may hold."""
    return re.sub(r"//[^/@\s]+@", "//", text)


def _keep(folder: Path, file: DataFile, content: bytes) -> None:
    """Writes a checked file into `folder`."""
    try:
        verified_files.write(folder, file.name, content)
    except OSError as error:
        raise _NotStored(file, folder, error) from None


class _NotStored(SweeperError):
    """A download could not be written, so that no other source would help."""

    def __init__(self, file: DataFile, folder: Path, error: OSError) -> None:
        super().__init__(
            f"{file.name} could not be stored: {error.strerror} ({folder}); "
            "set SWEEPER_CACHE_DIR to use another folder for downloads"
        )
