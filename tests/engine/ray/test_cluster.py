import socket
import sys
from types import SimpleNamespace

import pytest

from sweeper.engine.ray import cluster
from sweeper.errors import SweeperError, UsageError


@pytest.mark.parametrize(
    "address", ["", "auto", "local", "head", "head:", ":6390", "head:0", "head:99999", "ray://head:10001", "http://a:1"]
)
def test_address_must_be_host_and_port_so_that_no_cluster_is_started(address):
    with pytest.raises(
        UsageError, match=r"must be HOST:PORT, that of its head, got .* \(--ray-address or RAY_ADDRESS\)"
    ):
        cluster.connect(address, insecure=True)


def test_head_that_cannot_be_reached_is_told_before_ray_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SweeperError, match=rf"no Ray cluster can be reached at 127.0.0.1:{port}: Connection refused"):
        cluster.connect(f"127.0.0.1:{port}", insecure=True)


def test_node_is_reached_while_its_raylet_accepts_connections():
    with socket.create_server(("127.0.0.1", 0)) as server:
        node = cluster.Node("id", "a", 1, 0, *server.getsockname())
        assert cluster.reaches(node)
    assert not cluster.reaches(node)


def test_missing_ray_is_named_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(SweeperError, match=r"Ray is not installed: pip install 'cnn-sweeper\[ray\]'"):
            cluster.connect(f"127.0.0.1:{port}", insecure=True)


def test_cluster_without_a_token_is_used_only_by_calls_that_accept_that(monkeypatch):
    monkeypatch.setattr(cluster, "_address", "head:6390")
    monkeypatch.setattr(cluster, "_insecure", False)
    for insecure in (True, False):
        cluster.connect("head:6390", insecure=insecure)
        assert cluster.requires_token() is not insecure


def failing(error):
    """Stands for Ray, whose calls end with this error."""

    def get(reference, timeout):
        raise error

    return SimpleNamespace(get=get)


def test_call_of_an_actor_that_ray_has_killed_for_lack_of_memory_or_that_fails_has_no_result(monkeypatch):
    exceptions = pytest.importorskip("ray.exceptions", reason="Ray is not installed")
    failed = exceptions.RayTaskError("contact", "a traceback", ModuleNotFoundError("No module named 'torch'"))
    for error, words in (
        (
            exceptions.OutOfMemoryError("Task was killed due to the node running low on memory.\nMemory on"),
            "low on memory",
        ),
        (failed.as_instanceof_cause(), "ModuleNotFoundError: No module named 'torch'"),
    ):
        monkeypatch.setattr(cluster, "_ray", lambda: failing(error))  # noqa: B023
        with pytest.raises(cluster.Trouble, match=words) as told:
            cluster.result("call")
        assert not isinstance(told.value, cluster.NodeLost)
        assert "\n" not in str(told.value)


def test_actor_that_cannot_be_made_is_told_with_the_address_of_its_node(monkeypatch):
    exceptions = pytest.importorskip("ray.exceptions", reason="Ray is not installed")
    cause = RuntimeError("The actor with name Worker failed to import on the worker")
    text = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'sweeper'"
    made = exceptions.RayTaskError("__init__", text, cause, proctitle="ray::Worker.__init__", pid=7, ip="10.0.0.2")
    monkeypatch.setattr(cluster, "_ray", lambda: failing(exceptions.ActorDiedError(made)))
    with pytest.raises(cluster.NotCreated, match=r"^ModuleNotFoundError: No module named 'sweeper'$") as told:
        cluster.result("call")
    assert told.value.address == "10.0.0.2"


def test_actor_that_a_head_without_a_token_cannot_start_tells_of_the_token(monkeypatch):
    exceptions = pytest.importorskip("ray.exceptions", reason="Ray is not installed")
    error = exceptions.ActorDiedError()
    error.error_msg = (  # of Ray 2.60
        "The actor died unexpectedly before finishing this task.\nThe actor is dead because all references to the "
        "actor were removed including lineage ref count.\nThe actor never ran - it was cancelled before it started "
        "running."
    )
    monkeypatch.setattr(cluster, "_ray", lambda: failing(error))
    with pytest.raises(SweeperError, match=r"asks nobody for a token.*RAY_AUTH_MODE=token.*--ray-insecure"):
        cluster.result("call")
    monkeypatch.setattr(cluster, "_insecure", True)
    with pytest.raises(cluster.Trouble, match="never ran"):
        cluster.result("call")
