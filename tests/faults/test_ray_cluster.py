"""Searches on a real Ray cluster, whose actors, nodes and coordinator are killed."""

import re
import signal

import pytest

from tests.commands.processes import kill, wait_for
from tests.faults.ray_cluster import RayCluster
from tests.faults.workplace import EPOCHS, N_TRIALS, assert_same

pytestmark = pytest.mark.fault
# Soon tells what the search waits for.
IMPATIENT = {"sweeper.engine.ray.pool:WAITING_SECONDS": 0.5}


@pytest.fixture(scope="module")
def cluster_of_module(tmp_path_factory):
    cluster = RayCluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start(0)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def cluster(cluster_of_module):
    """A cluster whose two nodes run."""
    for number in (1, 2):
        cluster_of_module.start(number)
    return cluster_of_module


@pytest.fixture
def search(workplace, cluster):
    """Starts a search on the cluster, with two workers."""

    def start(environment=cluster.environment, **how):
        there = {"environment": environment, "network": cluster.network, **how}
        return workplace.search("--trials", N_TRIALS, *cluster.options, jobs=2, **there)

    return start


def trials_on(search, number):
    """How many trials have begun or resumed on the node. Notes name nodes too, such as those that load their data."""
    return len(re.findall(rf"^trial .* on node-{number}$", search.stderr, re.M))


def trains_on(search, *numbers, more_than=0):
    """Waits until more trials than that have begun on each of the nodes; fails if the search ends before."""

    def found():
        begun = all(trials_on(search, number) > more_than for number in numbers)
        assert begun or search.exit_code is None, f"ended with {search.exit_code}:\n{search.stderr}"
        return begun

    wait_for(f"trials on nodes {numbers}", found)


def test_search_that_loses_an_actor_its_coordinator_and_all_nodes_ends_on_one_that_returns_as_undisturbed(
    search, cluster, workplace, undisturbed
):
    first = search()
    trains_on(first, 1)
    [actor] = cluster.actors(1)
    kill(actor)
    first.says("the worker's process died; resuming from its last epoch")
    workplace.trains(first)
    first.signal_group(signal.SIGTERM)  # Ray has a handler of its own
    first.ended(143)
    assert "interrupted" in first.stderr
    second = search()
    workplace.trains(second)
    second.kill()
    third = search(constants=IMPATIENT)
    trains_on(third, 1, 2)
    for number in (2, 1):  # both, so that no trial ends before one returns, however long that takes
        cluster.kill(number)
    for number in (2, 1):
        third.says(f"node-{number} was lost; resuming from its last epoch")
    known = trials_on(third, 2)
    third.says("Waiting for 2 CPUs in the Ray cluster, 0 of 0 busy")
    cluster.start(2)
    trains_on(third, 2, more_than=known)
    third.ended()
    assert_same(workplace, undisturbed, N_TRIALS)
    assert workplace.epochs() <= N_TRIALS * EPOCHS + 8, "only the epochs of the kills are trained again"
    assert len(cluster.left_behind(1)) <= 1, "the last actor has deleted what killed ones left"
    shown = "".join(command.stdout + command.stderr for command in (first, second, third))
    assert "(raylet)" not in shown, "Ray has told of the actor's death in its own words"


def test_study_of_this_machine_goes_on_in_a_cluster_that_a_node_leaves_for_good(
    search, cluster, workplace, undisturbed
):
    local = workplace.search("--trials", N_TRIALS)
    workplace.trains(local)
    local.signal_group(signal.SIGTERM)
    local.ended(143)
    there = search()
    trains_on(there, 2)
    cluster.shut_down(2)
    there.says("node-2 was given back; resuming from its last epoch")
    there.ended()
    assert_same(workplace, undisturbed, N_TRIALS)


def test_wrong_token_is_refused_in_one_line(search, cluster, tmp_path):
    (tmp_path / "token").write_text("f" * 32)
    refused = search(environment={"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}).ended(1)
    [line] = [line for line in refused.stderr.splitlines() if "Error" in line]
    assert f"the Ray cluster at {cluster.address} does not take this machine's token" in line
    assert "f" * 32 not in refused.stderr
