"""A mirror of data files on this machine."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serves the folder; gives its address and the list of requested paths."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *arguments):
            asked.append(self.path)

        def log_error(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def use_mirrors(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    """Makes these addresses the only ones that a download tries."""
    monkeypatch.setattr("sweeper.data.known.download.mirrors", lambda dataset: list(urls))
