"""The answers to MLflow's requests to a server: each in bounded time, and MLflow's own or an error."""

import errno
import json
import queue
import re
import sys
import threading
import time
from tempfile import SpooledTemporaryFile
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from mlflow.utils import request_utils
from urllib3.exceptions import ReadTimeoutError

from sweeper.errors import shortened
from sweeper.store.redaction import redact

# How long an upload may take beside the time for any request, in bytes a second, and how long any transfer of a file.
LEAST_RATE, TRANSFER_SECONDS = 50_000, 600.0
# After this time, the user is told what the command waits for; at most once in REPEATED_SECONDS.
ANNOUNCED_SECONDS, REPEATED_SECONDS = 3.0, 30.0
# In bytes: a larger download is kept on disk meanwhile.
IN_MEMORY = 16 << 20
# The paths of MLflow's own interface, also behind a proxy that puts it below a path; files may go to another service.
API = re.compile(r".*/api/\d\.\d/(?:mlflow|mlflow-artifacts)(?P<endpoint>/.*)")
# What an answer always has, by method and endpoint. A proxy that answers `{}` would give runs without ids, and MLflow
# would put their files into the current folder.
NAMED = {
    (method, endpoint): field
    for field, endpoints in {
        "run": ("GET /runs/get", "POST /runs/create"),
        "run_info": ("POST /runs/update",),
        "experiment": ("GET /experiments/get", "GET /experiments/get-by-name"),
        "experiment_id": ("POST /experiments/create",),
        "model": ("POST /logged-models", "GET /logged-models/ID", "PATCH /logged-models/ID"),
        "registered_model": ("POST /registered-models/create", "GET /registered-models/get"),
        "model_version": (
            "POST /model-versions/create", "GET /model-versions/get", "GET /registered-models/alias",
        ),
    }.items()
    for method, _, endpoint in (text.partition(" ") for text in endpoints)
}  # fmt: skip
_said = -REPEATED_SECONDS


class NotMlflow(ConnectionError):
    """What answers at a server's address is not MLflow: a proxy, or a login page. It may go away."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EPROTO, f"the answer is not MLflow's: {text}")


class BoundedAdapter(request_utils.TCPKeepAliveHTTPAdapter):
    """Sends requests like its parent, with a limit on the whole time, and checks what is MLflow's to answer.

    Raises TimeoutError and NotMlflow.
    """

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Sends the request. The limits of sockets do not do: they begin anew with every byte."""
        answered: queue.SimpleQueue[requests.Response | BaseException] = queue.SimpleQueue()
        send = super().send

        def work() -> None:
            try:
                answer = send(request, stream, timeout, verify, cert, proxies)
                _read(answer, stream=stream)
                answered.put(answer)
            except BaseException as error:
                answered.put(error)

        threading.Thread(target=work, name="request", daemon=True).start()
        limit = _limit(request, timeout, stream=stream)
        result = _wait(answered, limit, str(request.url))
        if _is_late(result):
            raise _too_late(limit) from result
        if isinstance(result, BaseException):
            raise result
        if api := API.fullmatch(urlsplit(request.url or "").path):
            check(result, str(request.method), api["endpoint"], stream=stream)
        return result


def check(answer: requests.Response, method: str, endpoint: str, *, stream: bool) -> None:
    """Raises NotMlflow for an answer that MLflow does not give; a downloaded file may be anything."""
    where = f"status {answer.status_code} {answer.reason or ''}".rstrip()
    if answer.is_redirect:
        target = urljoin(answer.url, answer.headers["Location"])
        # Requests would ask the other address with GET.
        if not API.fullmatch(urlsplit(target).path) or (method != "GET" and answer.status_code < 307):
            raise NotMlflow(f"it redirects to {redact(target)}")
        return
    if answer.status_code in (204, 304) or (stream and answer.ok):
        return
    text = answer.text.strip()
    try:
        # An old server answers with words if it has nothing to say.
        fields = {} if answer.ok and text in ("", "200 OK") else json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        kind = answer.headers.get("Content-Type", "no type").partition(";")[0]
        words = "" if text.startswith(("<", "[", "{")) or not text else f": {shortened(text.splitlines()[0])}"
        if "Invalid Host header" in words:  # `mlflow server` answers to addresses and `localhost`, but to no other name
            asked = urlsplit(answer.url)
            words += f"; start `mlflow server` with --allowed-hosts {asked.hostname}:{asked.port or ''}".rstrip(":")
        raise NotMlflow(f"{where}, {kind}{words}")
    field = NAMED.get((method, re.sub(r"(?<=/logged-models/)m-\w+$", "ID", endpoint)))
    if answer.ok and field and not fields.get(field):
        raise NotMlflow(f"{where}, without {field}")


def _limit(request: requests.PreparedRequest, timeout: Any, *, stream: bool) -> float:
    """How many seconds the request may take in all; MLflow gives none to those that move files elsewhere."""
    if stream or not isinstance(timeout, int | float):
        return TRANSFER_SECONDS
    return timeout + int(request.headers.get("Content-Length") or 0) / LEAST_RATE


def _wait(answered: "queue.SimpleQueue[Any]", limit: float, url: str) -> Any:
    """The first thing in the queue. Raises TimeoutError after `limit` seconds."""
    global _said
    started = time.monotonic()
    # Trainings do not wait for the threads that deliver to MLflow.
    if threading.current_thread() is threading.main_thread() and limit > ANNOUNCED_SECONDS:
        try:
            return answered.get(timeout=ANNOUNCED_SECONDS)
        except queue.Empty:
            if time.monotonic() - _said > REPEATED_SECONDS:
                _said = time.monotonic()
                place = redact(urljoin(url, "/").rstrip("/"))
                print(f"Waiting for MLflow at {place}, {limit:.0f} s at most ...", file=sys.stderr, flush=True)
    try:
        return answered.get(timeout=max(0.0, started + limit - time.monotonic()))
    except queue.Empty:
        raise _too_late(limit) from None


def _is_late(error: Any) -> bool:
    """Whether this is the error of a socket that was silent for too long, perhaps as the reason of the last retry."""
    if isinstance(error, requests.exceptions.ConnectionError) and error.args:
        error = getattr(error.args[0], "reason", error)
    return isinstance(error, requests.exceptions.Timeout | ReadTimeoutError)


def _too_late(limit: float) -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, f"the server has not answered within {limit:.0f} s")


def _read(answer: requests.Response, *, stream: bool) -> None:
    """Reads the whole body while its time is watched; that of a stream goes to a file from which it is then read."""
    if not stream:
        _ = answer.content
        return
    file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (whoever reads the answer closes it)
    for chunk in answer.raw.stream(1 << 20, decode_content=True):
        file.write(chunk)
    file.seek(0)
    answer.raw = file


# Every session that MLflow makes has an adapter of this name.
request_utils.TCPKeepAliveHTTPAdapter = BoundedAdapter  # type: ignore[misc]
