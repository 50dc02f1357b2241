"""Decides which nodes of a cluster train the trials of one study: those that compute the same, bit by bit."""

from sweeper.engine.ray import cluster, environment, refusals
from sweeper.engine.ray.actor import Contact
from sweeper.errors import SweeperError
from sweeper.quantities import counted


class Nodes:
    """The nodes of the cluster as an engine uses them; `unit`, CPU or GPU, is what each of its actors takes one of.

    `processor` is the kind of processor or GPU that all have; if it is empty, that of the first actor that is ready is:
    another kind rounds in another way.
    """

    def __init__(self, unit: str, processor: str) -> None:
        self.unit, self.processor = unit, processor
        self._software = environment.software()
        self._unfit: dict[str, str] = {}  # why nodes are not used, by id

    def place_of(self, contact: Contact) -> cluster.Node:
        """The node on which an actor is. Raises SweeperError if the cluster asks for no token, and must."""
        if cluster.requires_token() and not contact.token:
            raise SweeperError(refusals.NO_TOKEN)
        known = {node.id: node for node in cluster.nodes()}
        return known.get(contact.node) or cluster.Node(contact.node, contact.node[:8], 0, 0)

    def complaint(self, contact: Contact) -> str:
        """Why the actor's node cannot be used; empty if it can, as far as is known before the actor is ready."""
        reason = environment.difference(contact.software, self._software)
        return reason or (self._other_kind(contact.processor) if self.unit == "CPU" else "")

    def complaint_when_ready(self, kind: str) -> str:
        """Why an actor that is ready to train on this kind may not; the first kind for which this is asked is used."""
        self.processor = self.processor or kind
        return self._other_kind(kind)

    def avoid(self, node: cluster.Node, reason: str) -> None:
        """Lets no further actor be placed on the node. Raises SweeperError if no node is left."""
        self._unfit[node.id] = f"{node.name} is not used: {reason}"
        if not any(self._offered(other) for other in cluster.nodes() if other.id not in self._unfit):
            raise SweeperError(f"no node of the Ray cluster can be used: {self._unfit[node.id]} ({refusals.DOCS})")

    def avoided(self) -> list[str]:
        """The ids of the nodes that are not used."""
        return list(self._unfit)

    def waiting(self, n: int) -> str:
        """What `n` actors without a place wait for."""
        n_there = sum(self._offered(node) for node in cluster.nodes() if node.id not in self._unfit)
        n_busy = max(0.0, n_there - cluster.free(self.unit, without=self._unfit))
        text = f"Waiting for {counted(n, self.unit)} in the Ray cluster, {n_busy:g} of {n_there:g} busy"
        return "; ".join([text, *self._unfit.values()])

    def at(self, address: str) -> list[cluster.Node]:
        """The nodes of the machine with this address."""
        return [node for node in cluster.nodes() if address and node.address == address]

    def is_alive(self, node: cluster.Node) -> bool:
        """Whether the node is still in the cluster, as far as its head knows, and can be reached."""
        return any(other.id == node.id for other in cluster.nodes()) and cluster.reaches(node)

    def _other_kind(self, kind: str) -> str:
        if self.processor in ("", kind):
            return ""
        what = "GPU" if self.unit == "GPU" else "processor"
        return f"its {what} is {kind}, and the trainings began on {self.processor}"

    def _offered(self, node: cluster.Node) -> float:
        return node.gpus if self.unit == "GPU" else node.cpus
