import ctypes

import pytest

from sweeper.process import nvml


class Driver:
    """NVML for one GPU, of which 5 of 80 bytes are free; `fails` names the call that does not work."""

    def __init__(self, fails=""):
        self.fails, self.open = fails, 0

    def __call__(self, name):
        if self.fails == "load":
            raise OSError(f"{name}: cannot open shared object file")
        assert name == "libnvidia-ml.so.1"
        return self

    def nvmlInit_v2(self):
        self.open += self.fails != "init"
        return self.fails == "init"

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid, gpu):
        gpu._obj.value = 7
        return uuid != b"GPU-1-2"

    def nvmlDeviceGetMemoryInfo(self, gpu, memory):
        assert gpu.value == 7
        memory._obj.total, memory._obj.free, memory._obj.used = 80, 5, 75
        return self.fails == "memory"


@pytest.mark.parametrize("uuid", ["1-2", "GPU-1-2"])
def test_driver_tells_what_is_free(monkeypatch, uuid):
    driver = Driver()
    monkeypatch.setattr(ctypes, "CDLL", driver)
    assert nvml.free_memory(uuid) == 5
    assert driver.open == 0


@pytest.mark.parametrize(
    ("fails", "uuid"), [("load", "1-2"), ("init", "1-2"), ("memory", "1-2"), ("", "3-4"), ("", "")]
)
def test_driver_that_does_not_tell_is_no_error(monkeypatch, fails, uuid):
    driver = Driver(fails)
    monkeypatch.setattr(ctypes, "CDLL", driver)
    assert nvml.free_memory(uuid) is None
    assert driver.open == 0
