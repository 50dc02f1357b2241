import pytest

from sweeper.engine.ray import environment, probe
from sweeper.engine.ray.cluster import Node, Trouble
from tests.engine.ray.fake_cluster import SOFTWARE, FakeCluster, contact

NODES = [Node("id-a", "a", 2, 0), Node("id-b", "b", 1, 1)]


class Answering:
    """An actor that answers at once, with what the test says of its node."""

    def __init__(self, said):
        self.contact = self.size = self
        self.said = said

    def remote(self, *arguments):
        return self.said


@pytest.fixture
def looked(monkeypatch):
    """Looks at the cluster of NODES, whose second node says this."""

    def look(second):
        fake = FakeCluster(*NODES)
        fake.killed = []
        answers = {"a": contact("id-a"), "b": second}
        fake.start_on = lambda node, actor: Answering(answers[node.name])
        fake.result = lambda said, seconds: _given(said)
        fake.kill = fake.killed.append
        monkeypatch.setattr(probe, "cluster", fake)
        monkeypatch.setattr(environment, "software", lambda: SOFTWARE)
        found = probe.look("head:6390", insecure=False)
        assert fake.connected == ["head:6390"]
        assert len(fake.killed) == 2
        return found

    return look


def _given(said):
    if isinstance(said, Exception):
        raise said
    return said


def test_nodes_that_can_train_are_told_with_what_they_offer(looked):
    first, second = looked(contact("id-b"))
    assert (first.name, first.cpus, first.trouble, first.processor) == ("a", 2, "", "x")
    assert (second.name, second.gpus, second.trouble) == ("b", 1, "")
    assert first.clock < 0  # the clock of the script stands at the epoch
    assert first.block_seconds >= 0


@pytest.mark.parametrize(
    ("said", "trouble", "remedy"),
    [
        (contact("id-b", software={**SOFTWARE, "torch": "1"}), "its torch is 1, here it is 2", "same software"),
        (contact("id-b", token=False), "it asks nobody for a token", "RAY_AUTH_MODE=token"),
        (Trouble("No module named 'sweeper'"), "it runs no worker: No module named 'sweeper'", "same software"),
        (TimeoutError(), "it did not answer within 60 s", "ports"),
    ],
)
def test_trouble_of_one_node_does_not_hide_the_others(looked, said, trouble, remedy):
    first, second = looked(said)
    assert (first.trouble, first.remedy) == ("", "")
    assert second.trouble == trouble
    assert remedy in second.remedy


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (contact("id-a", processor="x"), contact("id-b", processor="y"), "x"),  # it has two CPUs, the other one
        (Trouble("no worker"), contact("id-b", processor="y"), "y"),
        (TimeoutError(), Trouble("no worker"), ""),
        (contact("id-a", processor="x", software={**SOFTWARE, "torch": "1"}), contact("id-b", processor="y"), "y"),
        (contact("id-a", processor="x", token=False), contact("id-b", processor="y"), "y"),
    ],
)
def test_commonest_processor_is_that_of_most_cpus_whose_nodes_can_train(monkeypatch, first, second, found):
    fake = FakeCluster(*NODES)
    killed = []
    fake.start_on = lambda node, actor: Answering({"a": first, "b": second}[node.name])
    fake.result = lambda said, seconds: _given(said)
    fake.kill = killed.append
    monkeypatch.setattr(probe, "cluster", fake)
    monkeypatch.setattr(environment, "software", lambda: SOFTWARE)
    assert probe.commonest_processor() == found
    assert len(killed) == 2
