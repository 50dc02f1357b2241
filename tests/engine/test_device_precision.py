import pytest

from sweeper.engine import device_precision
from sweeper.engine.execution import Execution
from sweeper.errors import UsageError

GPU = Execution(("cuda:0",), 1, "channels_last")
GRAPHS = Execution(("cuda:0",), 1, "channels_last", at_once=8, graphs=True)
CPU = Execution(("cpu",), 1, "channels_last")


@pytest.mark.parametrize("execution", [GPU, GRAPHS, CPU])
def test_other_precisions_are_for_every_device(execution):
    device_precision.check({"float32", "bfloat16"}, execution)


def test_tf32_is_for_processes_of_their_own_on_a_gpu():
    device_precision.check({"float32", "tf32"}, GPU)
    with pytest.raises(UsageError, match=r"^precision tf32 needs a CUDA device, got cpu \(--device\)$"):
        device_precision.check({"float32", "tf32"}, CPU)
    with pytest.raises(UsageError, match="give --jobs instead of --jobs-per-gpu"):
        device_precision.check({"tf32"}, GRAPHS)
