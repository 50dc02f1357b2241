"""A Ray cluster for tests of engines."""

from collections.abc import Iterator

import pytest

from sweeper.engine.ray import cluster
from tests.faults.ray_cluster import RayCluster
from tests.networks import joined


@pytest.fixture(scope="module")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """A cluster with one node that trains, to which this process is connected."""
    started = RayCluster(tmp_path_factory.mktemp("cluster"))
    with pytest.MonkeyPatch.context() as patch:
        try:
            started.start(0)
            started.start(1)
            patch.setenv("RAY_AUTH_MODE", "token")
            for name, value in started.environment.items():
                patch.setenv(name, value)
            with joined(started.network):
                cluster.connect(started.address, insecure=False)
                yield started
                cluster.disconnect()
        finally:
            started.close()
