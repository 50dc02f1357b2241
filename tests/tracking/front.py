"""An MLflow server in this process, behind a front that can answer in its place as a proxy or a login page does."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions

Answers = Callable[[dict[str, Any], Any], Any]
# Below this path the server is found, too, as behind a reverse proxy.
BELOW = "/team/mlflow"
PAGE = b"<!doctype html><html><title>Sign in</title><form action=/login></form></html>"


def _page(environ, start):
    start("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [PAGE]


def _braces(environ, start):
    start("200 OK", [("Content-Type", "application/json")])
    return [b"{}"]


def _to_login(environ, start):
    start("302 Found", [("Location", "/login")])
    return [b""]


def _refusal(environ, start):
    start("403 Forbidden", [("Content-Type", "text/html")])
    return [PAGE]


def _missing(environ, start):
    start("404 Not Found", [("Content-Type", "text/html")])
    return [PAGE]


# What answers instead of MLflow, by name.
OTHERS: dict[str, Answers] = {
    "login page": _page, "empty objects": _braces, "redirect to a login page": _to_login, "refusals": _refusal,
    "missing pages": _missing,
}  # fmt: skip


class Front:
    """The address of an MLflow server. `instead` answers the requests that `whose` is true of, if it is set."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.instead: Answers | None = None
        self.whose: Callable[[dict[str, Any]], bool] = lambda environ: True
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.uri = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def store(self, folder: Path) -> Store:
        """A store whose runs go to this address."""
        return store_at(folder, self.uri)

    @contextmanager
    def answering(self, instead: str | Answers, whose: Callable[[dict[str, Any]], bool] = lambda environ: True):
        """Lets something else answer."""
        self.whose, self.instead = whose, OTHERS[instead] if isinstance(instead, str) else instead
        try:
            yield
        finally:
            self.instead = None

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ, start):
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(BELOW)
        if environ["PATH_INFO"] == "/login":
            return _page(environ, start)
        if self.instead is not None and self.whose(environ):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return self.instead(environ, start)
        return self._app(environ, start)


def is_upload(environ: dict[str, Any]) -> bool:
    """Whether the request stores an artifact."""
    return environ["REQUEST_METHOD"] == "PUT" and "mlflow-artifacts" in environ["PATH_INFO"]


def dripping(environ, start) -> Iterator[bytes]:
    """An answer of one byte in a tenth of a second."""
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", "100000")])
    for _ in range(100_000):
        time.sleep(0.1)
        yield b" "


def store_at(folder: Path, uri: str) -> Store:
    """A store whose runs go to this address."""
    store = StoreOptions(folder, tracking_uri=uri).resolve({})
    store.prepare()
    return store


@contextmanager
def running(folder: Path) -> Iterator[Front]:
    """A front before an MLflow server with its database and artifacts in this folder."""
    from mlflow.server import ARTIFACTS_DESTINATION_ENV_VAR, SERVE_ARTIFACTS_ENV_VAR, app, handlers
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Models
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Runs

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would log every request
    url = f"sqlite:///{folder}/server.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SERVE_ARTIFACTS_ENV_VAR, "true")
        patch.setenv(ARTIFACTS_DESTINATION_ENV_VAR, str(folder / "artifacts"))
        patch.setattr(handlers, "_artifact_repo", LocalArtifactRepository(str(folder / "artifacts")))
        patch.setattr(handlers, "_tracking_store", Runs(url, "mlflow-artifacts:/"))
        patch.setattr(handlers, "_model_registry_store", Models(url))
        front = Front(app)
        try:
            yield front
        finally:
            front.close()
