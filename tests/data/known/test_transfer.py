import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sweeper.data.known import locate, transfer
from sweeper.data.known.transfer import blocks
from sweeper.errors import SweeperError
from sweeper.images import progress
from tests.data.mirrors import served, use_mirrors
from tests.hostile import within

HEAD = b"HTTP/1.0 200 OK\r\nContent-Length: 1000000\r\n\r\n"


@contextmanager
def dripping(head: bytes) -> Iterator[str]:
    """A server that sends `head` at once, and then a byte now and then for ever; gives its address."""
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                connection.sendall(head)
                while not over.wait(0.02):
                    connection.sendall(b"x")
            except OSError:  # the client has given up
                pass

    def accept() -> None:
        while not over.is_set():
            try:
                threads.append(threading.Thread(target=answer, args=(server.accept()[0],)))
            except TimeoutError:
                continue
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            over.set()
            for thread in threads:
                thread.join()


@pytest.fixture(autouse=True)
def _short_window(monkeypatch):
    monkeypatch.setattr(transfer, "WINDOW_SECONDS", 0.3)


@pytest.mark.parametrize("head", [HEAD, b"HTTP/1.0 200 OK\r\nX-Slow: ", b""])
def test_server_that_drips_is_given_up_whatever_it_drips(head):
    with (
        dripping(head) as url,
        within(),
        pytest.raises(TimeoutError, match=r"too slow: must send 5 kB a second"),
    ):
        list(blocks(url, 5.0, 1_000_000, print))


def test_next_mirror_serves_what_a_dripping_one_cannot(dataset, tmp_path, monkeypatch, notes):
    (tmp_path / "mirror").mkdir()
    for file in dataset.files:
        (tmp_path / "mirror" / f"{file.name}.gz").write_bytes(
            gzip.compress((tmp_path / "data" / file.name).read_bytes())
        )
    with dripping(HEAD) as slow, served(tmp_path / "mirror") as (url, _), within():
        use_mirrors(monkeypatch, slow, url)
        locate.read(dataset, dataset.training, notify=notes.append)
    assert sum(slow in note for note in notes) == 1  # the other files are not requested from it


def test_error_names_the_dripping_mirror(dataset, monkeypatch, notes):
    with dripping(HEAD) as slow, within():
        use_mirrors(monkeypatch, slow)
        with pytest.raises(SweeperError, match=rf"{slow}.*: too slow: must send 5 kB a second"):
            locate.read(dataset, dataset.training, notify=notes.append)


def test_download_that_takes_too_long_altogether_is_given_up(monkeypatch):
    monkeypatch.setattr(transfer, "LEAST_RATE", 0)
    monkeypatch.setattr(transfer, "MOST_SECONDS", 0.5)
    with dripping(HEAD) as url, within(), pytest.raises(TimeoutError, match=r"took longer than .* hours"):
        list(blocks(url, 5.0, 1_000_000, print))


def test_slow_disk_is_no_slow_server(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(bytes(5_000_000))
    clock = [0.0]
    monkeypatch.setattr(transfer, "time", type("Clock", (), {"monotonic": staticmethod(lambda: clock[0])}))
    with served(tmp_path) as (url, _):
        n_bytes = 0
        for block in blocks(f"{url}file", 5.0, 5_000_000, print):
            n_bytes += len(block)
            clock[0] += 100.0
    assert n_bytes == 5_000_000


def test_progress_of_a_download_is_told(tmp_path, monkeypatch, notes):
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    (tmp_path / "file").write_bytes(bytes(2_000_000))
    with served(tmp_path) as (url, _):
        list(blocks(f"{url}file", 5.0, 2_000_000, notes.append))
    assert notes[-1].startswith(f"downloading {url}file: 2.0 MB of 2.0 MB, ")
