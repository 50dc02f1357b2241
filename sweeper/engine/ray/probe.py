"""Looks at every node of a cluster before a search does: software, processor, clock, and the way of images to it."""

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweeper.engine.ray import cluster, environment
from sweeper.engine.ray.actor import Contact, Worker

# A process of Python starts on each node, on one with a cold disk.
ANSWER_SECONDS = 60.0
BLOCK_BYTES = 16 << 20
SAME_SOFTWARE = "give it the same software as this machine, and start Ray there again"
LOGS = "see Ray's logs there, in /tmp/ray/session_latest/logs unless --temp-dir names another folder"


@dataclass(frozen=True)
class NodeFound:
    """A node: what it offers, `trouble` that keeps it from training (or ""), a `remedy`, and what was measured.

    `clock` is by how many seconds its clock is ahead of this machine's, `block_seconds` how long BLOCK_BYTES took to
    get there; neither is known if there is trouble.
    """

    name: str
    cpus: float
    gpus: float
    trouble: str
    remedy: str = ""
    processor: str = ""
    clock: float = 0.0
    block_seconds: float = 0.0


def software() -> str:
    """Ray's version here, which is that of the cluster once it was joined."""
    return f"Ray {cluster.version()}"


def look(address: str, *, insecure: bool) -> list[NodeFound]:
    """The nodes of the cluster. Raises UsageError and SweeperError as `cluster.connect` does."""
    cluster.connect(address, insecure=insecure)
    block = cluster.put(np.zeros(BLOCK_BYTES, dtype=np.uint8))
    started = [(node, cluster.start_on(node, Worker)) for node in cluster.nodes()]
    deadline = time.monotonic() + ANSWER_SECONDS
    try:
        return [_looked(node, actor, block, deadline) for node, actor in started]
    finally:
        for _, actor in started:
            cluster.kill(actor)


def commonest_processor() -> str:
    """The kind of processor of most CPUs that can train in the cluster, which is connected to; empty if none can."""
    started = [(node, cluster.start_on(node, Worker)) for node in cluster.nodes() if node.cpus]
    deadline = time.monotonic() + ANSWER_SECONDS
    cpus: dict[str, float] = defaultdict(float)
    try:
        for node, actor in started:
            with suppress(cluster.Trouble, TimeoutError):  # such a node trains nothing, either
                contact = Contact.of(cluster.result(actor.contact.remote(), max(1.0, deadline - time.monotonic())))
                if not _unfit(contact)[0]:
                    cpus[contact.processor] += node.cpus
    finally:
        for _, actor in started:
            cluster.kill(actor)
    return max(cpus, key=lambda kind: (cpus[kind], kind), default="")


def _looked(node: cluster.Node, actor: Any, block: Any, deadline: float) -> NodeFound:
    try:
        cluster.result(actor.contact.remote(), max(1.0, deadline - time.monotonic()))  # until its process has started
        asked = time.time()
        contact = Contact.of(cluster.result(actor.contact.remote(), ANSWER_SECONDS))
        clock = contact.seconds - (asked + time.time()) / 2
        began = time.monotonic()
        cluster.result(actor.size.remote(block), ANSWER_SECONDS)
        seconds = time.monotonic() - began
    except cluster.Trouble as error:
        return NodeFound(node.name, node.cpus, node.gpus, f"it runs no worker: {error}", f"{SAME_SOFTWARE}; {LOGS}")
    except TimeoutError:
        trouble = f"it did not answer within {ANSWER_SECONDS:.0f} s"
        return NodeFound(node.name, node.cpus, node.gpus, trouble, f"let all nodes reach each other's ports; {LOGS}")
    trouble, remedy = _unfit(contact)
    return NodeFound(node.name, node.cpus, node.gpus, trouble, remedy, contact.processor, clock, seconds)


def _unfit(contact: Contact) -> tuple[str, str]:
    """What keeps a node that answers from training, and a remedy; both are empty if nothing does."""
    if difference := environment.difference(contact.software, environment.software()):
        return difference, SAME_SOFTWARE
    if cluster.requires_token() and not contact.token:
        remedy = "start Ray there again with RAY_AUTH_MODE=token, or accept that with --ray-insecure"
        return "it asks nobody for a token", remedy
    return "", ""
