"""Receives a file over the network at a bounded pace: a server that is too slow is given up, whatever it sends."""

import http.client
import queue
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread

from sweeper.images.progress import Progress

BLOCK_BYTES = 1 << 20
# At least this many bytes a second must come, on average over each window of so many seconds; the first window begins
# with the connection. A modem's pace: what is slower would take a day for the smaller archives.
LEAST_RATE = 5_000
WINDOW_SECONDS = 30.0
# The most seconds that one file may take altogether.
MOST_SECONDS = 86_400.0
# Blocks that wait for being stored: if the disk is slower than the network, the network waits.
MOST_WAITING = 16
# The exceptions of urllib: URLError and its subclass HTTPError are OSErrors.
NETWORK_ERRORS = (OSError, http.client.HTTPException)


def blocks(url: str, silence: float, total: int | None, notify: Callable[[str], None]) -> Iterator[bytes]:
    """The content at `url`, block by block; `notify` gets a line every few seconds, with its share of `total`.

    Raises TimeoutError if it is silent for `silence` seconds, or too slow; otherwise one of NETWORK_ERRORS.
    """
    received: queue.Queue[bytes | Exception] = queue.Queue(MOST_WAITING)
    given_up = Event()
    # A thread of its own, because a server can keep a socket busy for ever with a byte now and then, even before the
    # content begins. It ends at the next byte after it was given up, or with the process.
    Thread(target=_receive, args=(url, silence, received, given_up), name="download", daemon=True).start()
    progress = Progress(f"downloading {url}", total, notify)
    pace = _Pace()
    try:
        while True:
            started = time.monotonic()
            try:
                content = received.get(timeout=pace.left)
            except queue.Empty:
                content = None
            if isinstance(content, Exception):
                raise content
            if content == b"":
                return
            # Only the time for which the network was waited for counts, not the time for which a slow disk was.
            pace.add(time.monotonic() - started, len(content or b""))
            if content is not None:
                progress.add(len(content))
                yield content
    finally:
        given_up.set()


class _Pace:
    """Raises TimeoutError once too few bytes have come in a window, or all took too long."""

    def __init__(self) -> None:
        self._waited = self._window = 0.0
        self._n_bytes = 0

    @property
    def left(self) -> float:
        """Seconds to the end of the window."""
        return max(0.0, WINDOW_SECONDS - self._window)

    def add(self, seconds: float, n_bytes: int) -> None:
        """Adds the time that was waited, and the bytes that came after it."""
        self._waited += seconds
        self._window += seconds
        self._n_bytes += n_bytes
        if self._waited > MOST_SECONDS:
            raise TimeoutError(f"took longer than {MOST_SECONDS / 3600:g} hours")
        if self._window >= WINDOW_SECONDS:
            rate = self._n_bytes / self._window
            if rate < LEAST_RATE:
                raise TimeoutError(
                    f"too slow: must send {LEAST_RATE / 1000:g} kB a second, got {rate / 1000:.2g} kB a second for "
                    f"{self._window:.0f} s"
                )
            self._window, self._n_bytes = 0.0, 0


def _receive(url: str, silence: float, received: "queue.Queue[bytes | Exception]", given_up: Event) -> None:
    """Puts the content into the queue, and at its end an empty block, or the error that ended it."""

    def put(item: bytes | Exception) -> None:
        while not given_up.is_set():
            with suppress(queue.Full):
                received.put(item, timeout=1.0)
                return

    try:
        with urllib.request.urlopen(url, timeout=silence) as response:
            # Not read(), which returns only when the whole block is there.
            while not given_up.is_set() and (block := response.read1(BLOCK_BYTES)):
                put(block)
        put(b"")
    except Exception as error:  # raised again by the caller, whatever it is
        put(error)
