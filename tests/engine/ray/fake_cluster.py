"""A cluster by a script, in place of sweeper.engine.ray.cluster: the test decides when and how each call ends."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from sweeper.engine.ray import cluster
from sweeper.engine.ray.cluster import Node

SOFTWARE = {"sweeper": "1", "torch": "2", "Python": "3"}


@dataclass(eq=False)
class Call:
    """A call of an actor's method, which has ended once it has a result or an error."""

    name: str
    arguments: tuple[Any, ...]
    outcome: list[Any] = field(default_factory=list)

    def ends(self, result: Any) -> None:
        """The result; an exception is raised."""
        self.outcome.append(result)


class Handle:
    """An actor: its calls in order."""

    def __init__(self, avoid: tuple[str, ...]) -> None:
        self.calls: list[Call] = []
        self.avoid, self.killed = avoid, False

    def __getattr__(self, name: str) -> Any:
        def remote(*arguments: Any) -> Call:
            call = Call(name, arguments)
            self.calls.append(call)
            return call

        return SimpleNamespace(remote=remote)

    def last(self, name: str) -> Call:
        """The last call of this method."""
        return [call for call in self.calls if call.name == name][-1]


class FakeCluster:
    """What the engine uses of the module `cluster`."""

    Node = Node
    Trouble, NodeLost, NotCreated = cluster.Trouble, cluster.NodeLost, cluster.NotCreated

    def __init__(self, *nodes: Node) -> None:
        self.alive = list(nodes) or [Node("id-a", "a", 2, 0)]
        self.actors: list[Handle] = []
        self.objects: list[Any] = []
        self.connected: list[str] = []
        self.busy = 0.0
        self.insecure = False
        self.cut_off: set[str] = set()  # nodes, by name, that the head takes for alive

    def connect(self, address: str, *, insecure: bool) -> None:
        self.connected.append(address)

    def requires_token(self) -> bool:
        return not self.insecure

    def put(self, value: Any) -> Any:
        self.objects.append(value)
        return value

    def start(self, actor: type, *, concurrency: int, resources: Any, avoid: Any = ()) -> Handle:
        self.actors.append(Handle(tuple(avoid)))
        return self.actors[-1]

    def wait(self, calls: list[Call], seconds: float) -> list[Call]:
        return [call for call in calls if call.outcome]

    def wait_for_all(self, calls: list[Call], seconds: float) -> None:
        pass

    def result(self, call: Call, seconds: float | None = None) -> Any:
        if isinstance(call.outcome[0], Exception):
            raise call.outcome[0]
        return call.outcome[0]

    def kill(self, handle: Handle) -> None:
        handle.killed = True

    def nodes(self) -> list[Node]:
        return self.alive

    def free(self, resource: str, *, without: Any) -> float:
        return sum(node.cpus for node in self.alive if node.id not in without) - self.busy

    def reaches(self, node: Node) -> bool:
        return node.name not in self.cut_off


def contact(node: str = "id-a", **others: Any) -> dict[str, Any]:
    """What an actor on a node says first."""
    return {"node": node, "software": SOFTWARE, "processor": "x", "seconds": 0.0, "token": True, **others}
