"""Connects to a Ray cluster, and makes the calls to it; the only module that imports Ray."""

import os
import re
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sweeper.engine.ray import refusals, side_effects
from sweeper.errors import SweeperError, UsageError, first_line, plain, shortened

EXTRA = "pip install 'cnn-sweeper[ray]'"
# How long the head may take to accept a connection: it is in the same network.
REACH_SECONDS = 5.0
# The same of a node from which nothing came for long; one lost packet delays its answer by a second.
NODE_REACH_SECONDS = 2.0
TRIES = 3
NODE_LABEL = "ray.io/node-id"
# Ray tells the place of an actor that could not be made only in its text: "ray::Worker.__init__() (pid=7, ip=10.0.0.2".
ADDRESS_OF_ACTOR = re.compile(r"\(pid=\d+, ip=([^,)]+)")

_address = ""  # of the cluster that this process is connected to
_insecure = False  # whether that cluster may do without a token


class Trouble(Exception):
    """A call to an actor has no result, because the actor is gone or the call has failed; the text says why."""


class NodeLost(Trouble):
    """The actor's node is gone or cannot be reached. `planned` says that it was shut down in an orderly way."""

    def __init__(self, text: str, *, planned: bool = False) -> None:
        super().__init__(text)
        self.planned = planned


class NotCreated(Trouble):
    """The actor's process cannot be what it should be, such as without the program's modules.

    `address` is that of its node, empty if it is not known.
    """

    def __init__(self, text: str, *, address: str = "") -> None:
        super().__init__(text)
        self.address = address


@dataclass(frozen=True)
class Node:
    """A node of the cluster; `cpus` and `gpus` are what it offers, used or not. Its raylet is at `address:port`."""

    id: str
    name: str
    cpus: float
    gpus: float
    address: str = ""
    port: int = 0


def connect(address: str, *, insecure: bool) -> None:
    """Connects this process to the cluster whose head listens at HOST:PORT, unless it is connected already.

    Never starts a cluster. Unless `insecure`, Ray's token must be here. Raises UsageError for a bad address, and
    SweeperError, in one line, if Ray is missing or the cluster cannot be used.
    """
    global _address, _insecure
    host, port = _parsed(address)
    if _address:
        if _address != address:
            raise SweeperError(f"this process is connected to the Ray cluster at {_address} already (--ray-address)")
        _insecure = insecure
        return
    _check_reached(host, port, address)
    os.environ["RAY_gcs_server_port_wait_time_s"] = str(TRIES)  # noqa: SIM112 (Ray reads this name; 20 by default)
    if not insecure:
        os.environ["RAY_AUTH_MODE"] = "token"
    ray = _ray()
    if not insecure:
        ray._raylet.Config.initialize("")  # a program may have imported Ray before, which reads the variable then
    if ray.is_initialized():
        raise SweeperError("this program has called ray.init already: leave that to sweeper, or end it by ray.shutdown")
    # It prints the deaths of workers to stdout, among the results, whatever `log_to_driver` says.
    ray._private.worker.print_to_stdstream = lambda data, ignore_prefix: None
    try:
        with side_effects.handlers_kept(), side_effects.debugger_kept(), side_effects.silent():
            ray.init(address=address, log_to_driver=False, logging_level="CRITICAL")
    except SweeperError:
        raise
    except Exception as error:  # Ray raises all kinds
        raise SweeperError(refusals.refusal(error, address)) from error
    _address, _insecure = address, insecure


def requires_token() -> bool:
    """Whether the cluster must ask whoever connects for a token."""
    return not _insecure


def disconnect() -> None:
    """Ends the connection, if there is one."""
    global _address
    if _address:
        with side_effects.handlers_kept():
            _ray().shutdown()
        _address = ""


def put(value: Any) -> Any:
    """Puts a value into the cluster, and returns a reference to it; arrays are read without a copy on each node."""
    return _ray().put(value)


def get(reference: Any) -> Any:
    """The value of a reference that `put` has made."""
    return _ray().get(reference)


def start(actor: type, *, concurrency: int, resources: Mapping[str, float], avoid: Sequence[str] = ()) -> Any:
    """Asks for an actor on a node that has these resources and is not among those to avoid, by id.

    It runs `concurrency` calls at once, in threads. Nothing starts it again, and no call is made twice.
    """
    options: dict[str, Any] = {"max_restarts": 0, "max_task_retries": 0, "max_concurrency": concurrency, **resources}
    if avoid:
        options["label_selector"] = {NODE_LABEL: f"!in({','.join(avoid)})"}
    else:
        options["scheduling_strategy"] = "SPREAD"
    return _ray().remote(actor).options(**options).remote()


def start_on(node: Node, actor: type) -> Any:
    """Asks for an actor on this node that takes none of its resources."""
    options = {"max_restarts": 0, "max_task_retries": 0, "num_cpus": 0, "label_selector": {NODE_LABEL: node.id}}
    return _ray().remote(actor).options(**options).remote()


def wait(references: Sequence[Any], seconds: float) -> list[Any]:
    """Those references whose results have arrived; waits up to `seconds` for the first of them."""
    ray = _ray()
    done, _ = ray.wait(list(references), num_returns=1, timeout=seconds)
    if done:
        done, _ = ray.wait(list(references), num_returns=len(references), timeout=0)
    return list(done)


def wait_for_all(references: Sequence[Any], seconds: float) -> None:
    """Waits until all have ended, with a result or without, up to `seconds`."""
    if references:
        with suppress(Exception):  # the cluster may be gone
            _ray().wait(list(references), num_returns=len(references), timeout=seconds)


def result(reference: Any, seconds: float | None = None) -> Any:
    """The result of a call.

    Raises Trouble if its actor is gone or the call fails, TimeoutError after `seconds`, and SweeperError if no actor
    could start because the cluster asks for no token.
    """
    from ray import exceptions

    try:
        return _ray().get(reference, timeout=seconds)
    except exceptions.GetTimeoutError as error:
        raise TimeoutError from error
    except exceptions.ActorUnavailableError as error:
        raise NodeLost(shortened(first_line(error))) from error
    except exceptions.ActorDiedError as error:
        text = str(error)
        if requires_token() and all(words in text for words in refusals.HEAD_WITHOUT_TOKEN):
            raise SweeperError(refusals.NO_TOKEN) from error
        if error.actor_init_failed:
            place = ADDRESS_OF_ACTOR.search(text)
            raise NotCreated(_last_line(text), address=place[1] if place else "") from error
        if error.preempted or "node has died" in text or "raylet" in text.lower():
            raise NodeLost(_last_line(text), planned=error.preempted or "terminated expectedly" in text) from error
        raise Trouble(_last_line(text)) from error
    except (exceptions.NodeDiedError, exceptions.ObjectLostError, exceptions.ActorUnschedulableError) as error:
        raise NodeLost(shortened(first_line(error))) from error
    except exceptions.OutOfMemoryError as error:  # Ray has killed the actor, because its node had little memory left
        raise Trouble(shortened(first_line(error))) from error
    except exceptions.RayTaskError as error:
        raise Trouble(shortened(f"{type(error.cause).__name__}: {first_line(error.cause)}")) from error


def kill(actor: Any) -> None:
    """Kills an actor's process, or withdraws it if it has none yet."""
    with suppress(Exception):  # it may be dead, and its node as well
        _ray().kill(actor)


def nodes() -> list[Node]:
    """The nodes that are alive, as far as the head knows."""
    return [
        Node(
            id=found["NodeID"],
            name=found.get("NodeName") or found["NodeManagerAddress"],
            cpus=found["Resources"].get("CPU", 0.0),
            gpus=found["Resources"].get("GPU", 0.0),
            address=found["NodeManagerAddress"],
            port=found["NodeManagerPort"],
        )
        for found in _ray().nodes()
        if found["Alive"]
    ]


def free(resource: str, *, without: Collection[str]) -> float:
    """How much of a resource (CPU or GPU) nobody uses in the cluster, without these nodes, by id."""
    by_node = _ray()._private.state.available_resources_per_node()
    return float(sum(found.get(resource, 0.0) for node, found in by_node.items() if node not in without))


def reaches(node: Node) -> bool:
    """Whether the node accepts a connection: the head finds only after a minute that a link was cut."""
    try:
        socket.create_connection((node.address, node.port), NODE_REACH_SECONDS).close()
    except OSError:
        return False
    return True


def version() -> str:
    """Ray's version here."""
    return str(_ray().__version__)


def own_node_id() -> str:
    """The id of the node on which this process runs."""
    return str(_ray().get_runtime_context().get_node_id())


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise SweeperError(f"Ray is not installed: {EXTRA}, here and on all nodes (--engine ray)") from error
    return ray


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16 or "/" in host:
        raise UsageError(
            f"a Ray cluster's address must be HOST:PORT, that of its head, got {plain(address) if address else 'none'} "
            "(--ray-address or RAY_ADDRESS)"
        )
    return host.strip("[]"), int(port)


def _check_reached(host: str, port: int, address: str) -> None:
    """Ray itself would try for half a minute."""
    try:
        socket.create_connection((host, port), REACH_SECONDS).close()
    except OSError as error:
        raise SweeperError(
            f"no Ray cluster can be reached at {plain(address)}: {error.strerror or error}; start its head there with "
            f"`RAY_AUTH_MODE=token ray start --head --port={port}`, see {refusals.DOCS} (--ray-address)"
        ) from error


def _last_line(text: str) -> str:
    return shortened(([line.strip() for line in text.splitlines() if line.strip()] or [""])[-1])
