"""Checks a Ray cluster, and every node of it."""

from collections.abc import Iterator

from sweeper.doctor.check import ERROR, OK, WARNING, Check
from sweeper.engine.ray import probe
from sweeper.errors import SweeperError
from sweeper.quantities import counted

# By how many seconds a node's clock may differ before its log is hard to read beside the others.
MOST_SKEW = 5.0


def examine(address: str, *, insecure: bool) -> Iterator[Check]:
    """Checks the cluster at this address; an error if it cannot be joined."""
    try:
        nodes = probe.look(address, insecure=insecure)
    except SweeperError as error:
        yield Check("cluster", ERROR, str(error))
        return
    n_cpus, n_gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    found = f"{counted(len(nodes), 'node')} at {address} with {_offer(n_cpus, n_gpus)}, {probe.software()}"
    if n_cpus or n_gpus:
        yield Check("cluster", OK, found)
    else:
        yield Check("cluster", WARNING, found, f"`ray start --address={address}` on each machine that should train")
    kind = next((node.processor for node in nodes if node.cpus and not node.trouble), "")
    for node in nodes:
        yield _node(node, kind)


def _node(node: probe.NodeFound, kind: str) -> Check:
    name, found = f"node {node.name}", _offer(node.cpus, node.gpus)
    if node.trouble:
        return Check(name, ERROR, f"{found}; {node.trouble}", node.remedy)
    rate = probe.BLOCK_BYTES / 1e6 / max(node.block_seconds, 1e-3)
    found += f", {node.processor}; images arrive at {rate:.0f} MB/s; clock {node.clock:+.1f} s"
    if node.cpus and node.processor != kind:
        advice = "take it out of the cluster: a study uses one kind of processor, the one that it began on"
        return Check(name, WARNING, f"{found}; other nodes have {kind}", advice)
    if abs(node.clock) > MOST_SKEW:
        return Check(name, WARNING, found, "set its clock by NTP: the times in its logs mislead")
    return Check(name, OK, found)


def _offer(cpus: float, gpus: float) -> str:
    return f"{counted(cpus, 'CPU')} and {counted(gpus, 'GPU')}"
