from sweeper.doctor import cluster
from sweeper.engine.ray.probe import NodeFound
from sweeper.errors import SweeperError


def test_cluster_is_told_node_by_node(monkeypatch):
    found = [
        NodeFound("head", 0, 0, "", "", "y", 0.0, 0.01),
        NodeFound("a", 2, 0, "", "", "x", 0.04, 0.1),
        NodeFound("b", 2, 1, "", "", "y", 0.0, 0.1),
        NodeFound("c", 2, 0, "", "", "x", -30.0, 0.1),
        NodeFound("d", 2, 0, "its torch is 1, here it is 2", "give it the same"),
    ]
    monkeypatch.setattr(cluster.probe, "look", lambda address, insecure: found)
    monkeypatch.setattr(cluster.probe, "software", lambda: "Ray 2")
    whole, head, *nodes = cluster.examine("head:6390", insecure=False)
    assert (whole.status, whole.found) == ("ok", "5 nodes at head:6390 with 8 CPUs and 1 GPU, Ray 2")
    assert head.status == "ok"  # it trains nothing
    assert [node.status for node in nodes] == ["ok", "warning", "warning", "error"]
    assert nodes[0].found == "2 CPUs and 0 GPUs, x; images arrive at 168 MB/s; clock +0.0 s"
    assert "other nodes have x" in nodes[1].found
    assert "clock" in nodes[2].advice
    assert nodes[3].found == "2 CPUs and 0 GPUs; its torch is 1, here it is 2"
    assert nodes[3].advice == "give it the same"


def test_cluster_that_cannot_be_joined_is_an_error_and_one_without_nodes_a_warning(monkeypatch):
    def refuse(address, insecure):
        raise SweeperError("no Ray cluster can be reached at head:6390")

    monkeypatch.setattr(cluster.probe, "look", refuse)
    [check] = cluster.examine("head:6390", insecure=False)
    assert (check.status, check.found) == ("error", "no Ray cluster can be reached at head:6390")
    monkeypatch.setattr(cluster.probe, "look", lambda address, insecure: [NodeFound("head", 0, 0, "")])
    monkeypatch.setattr(cluster.probe, "software", lambda: "Ray 2")
    check, _ = cluster.examine("head:6390", insecure=False)
    assert (check.status, check.advice) == (
        "warning",
        "`ray start --address=head:6390` on each machine that should train",
    )
