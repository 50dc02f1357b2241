"""Where trainings run, as a user asks for it."""

from dataclasses import dataclass

from sweeper.config.fields import Checked, ruled
from sweeper.validators import MOST_PER_GPU, boolean, count, integer, one_of, optional, text

# As many as four digits can name.
MOST_JOBS = 9999
# Processes on this machine; this process, for a debugger; the nodes of a Ray cluster.
ENGINES = ("local", "inline", "ray")


@dataclass(frozen=True)
class DeviceOptions(Checked):
    """The user's options for where trainings run.

    `device` is auto, cpu, cuda, mps, or CUDA devices by number ("cuda:0,cuda:1"). `jobs` is how many trainings run at
    once; None means as many as the machine can take. `jobs_per_gpu` is how many share a GPU, with CUDA graphs: 0 means
    the fastest number, None one training without graphs. `worker_memory` (bytes) limits a worker on a CPU; None means
    an equal share of the memory. `engine` is one of ENGINES; it changes no result.
    `ray_address` is HOST:PORT of the cluster's head; `ray_insecure` accepts a cluster that asks for no token.
    """

    device: str = ruled("auto", text)
    jobs: int | None = ruled(None, optional(integer(1, MOST_JOBS)))
    jobs_per_gpu: int | None = ruled(None, optional(integer(0, MOST_PER_GPU)))
    worker_memory: int | None = ruled(None, optional(count(1)))
    engine: str = ruled("local", one_of(*ENGINES))
    ray_address: str | None = ruled(None, optional(text))
    ray_insecure: bool = ruled(False, boolean)

    @property
    def plain_progress(self) -> bool:
        """Whether progress must be plain lines: a view that redraws itself would overwrite a debugger's prompt."""
        return self.engine == "inline"
