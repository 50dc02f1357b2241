import os
from types import SimpleNamespace

import pytest

from sweeper.engine.ray import cluster


@pytest.mark.parametrize("before", [None, "pudb.set_trace"])
def test_debugger_of_the_program_is_kept(monkeypatch, before):
    if before is None:
        monkeypatch.delenv("PYTHONBREAKPOINT", raising=False)
    else:
        monkeypatch.setenv("PYTHONBREAKPOINT", before)

    def init(**options):
        os.environ["PYTHONBREAKPOINT"] = "ray.util.rpdb._driver_set_trace"

    internal = SimpleNamespace(worker=SimpleNamespace())
    ray = SimpleNamespace(init=init, is_initialized=lambda: False, shutdown=lambda: None, _private=internal)
    monkeypatch.setattr(cluster, "_ray", lambda: ray)
    monkeypatch.setattr(cluster, "_address", "")
    monkeypatch.setattr(cluster, "_insecure", False)
    monkeypatch.setattr(cluster, "_check_reached", lambda *address: None)
    monkeypatch.setenv("RAY_gcs_server_port_wait_time_s", "")
    cluster.connect("head:6390", insecure=True)
    assert os.environ.get("PYTHONBREAKPOINT") == before
    cluster.disconnect()
