"""The sections of gpu_smoke.py: `python gpu_smoke_sections.py PART NAME RESULTS` runs one, which adds its rows."""

import ctypes
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import in_checkout  # noqa: F401 (before sweeper)
import numpy as np
import torch
from gpu_smoke import ROOT, TESTS, append
from gpu_ways import Case, TimedLock, cases, in_processes, in_threads, in_turn, network, noise
from torch import Tensor, nn

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.engine.failures import failure_of
from sweeper.engine.job import TrialJob
from sweeper.engine.local.plan import GRAPHS_SINCE
from sweeper.errors import first_line
from sweeper.training import process_locks
from sweeper.training.loop import fit

# Of an epoch: a fifth of Fashion-MNIST's, so that an epoch takes a second or less.
IMAGES = 12_000
N_THREADS = 16
N_BESIDE = 3  # trainings beside the one with a fault
GIB = 1 << 30
Tell = Callable[[str, str], None]


def attempt(tell: Tell, what: str, call: Callable[[], str]) -> None:
    """Tells what a call finds, or how it fails, after which the others still run."""
    try:
        tell(what, call())
    except Exception as error:
        tell(what, f"failed: {type(error).__name__}: {first_line(error)}")


def graph_tests(tell: Tell, device: torch.device) -> None:
    """The tests of CUDA graphs, without the options of setup.cfg and without conftest.py, which needs hypothesis."""
    command = [sys.executable, "-u", "-m", "pytest", TESTS, "-v", "-m", "gpu", "--noconftest", "--tb=line"]
    command += ["--color=no", "-o", "addopts=", "-o", "filterwarnings=", "-p", "no:cacheprovider"]
    command += ["--import-mode=importlib"]
    counts = Counter[str]()
    last = "no output"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = line.strip("= \n") or last
            if ended := re.search(r"::(\S+) (PASSED|FAILED|ERROR|SKIPPED)", line):
                counts[ended[2].lower()] += 1
                tell("so far", ", ".join(f"{number} {outcome}" for outcome, number in counts.items()))
                if ended[2] in ("FAILED", "ERROR"):
                    tell(ended[1], ended[2].lower())
    tell("in the end", last)


def turnover(tell: Tell, device: torch.device) -> None:
    """16 threads that each train three trials with dropout and augmentation, and how long they wait for the lock."""
    case, told = cases(IMAGES)["LeNet-5, all on"], list[str]()
    lock = TimedLock(process_locks.gpu)
    process_locks.gpu = lock  # type: ignore[assignment]

    def speed(graphs: bool) -> str:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            began = time.perf_counter()
            found = in_turn(case, device, N_THREADS, 2, Path(folder), graphs=graphs, tell=told.append)
            seconds = time.perf_counter() - began
        return f"{found:,.0f} images/s, {seconds:.1f} s"

    attempt(tell, f"{N_THREADS} x 3 trials from graphs", partial(speed, True))
    together = f"{lock.waited:.2f} s by all threads together"
    tell("waited for the lock", f"{together}, {lock.longest * 1000:.0f} ms at most, taken {lock.n_taken} times")
    tell("steps that were not captured", "; ".join(sorted(set(told))) or "none")
    reserved, allocated = torch.cuda.max_memory_reserved(device), torch.cuda.memory_allocated(device)
    tell("memory", f"{reserved / GIB:.2f} GiB reserved at most, {allocated / GIB:.2f} GiB allocated at the end")


def graphs(tell: Tell, device: torch.device) -> None:
    """The speed of 1, 8, 16 and 32 trainings at once."""
    lenet5 = cases(IMAGES)["LeNet-5"]
    for n_trials in (1, 8, 16, 32):

        def speed(n_trials: int = n_trials) -> str:
            return f"{in_threads(lenet5, device, n_trials, 1, graphs=True):,.0f} images/s"

        attempt(tell, f"{n_trials} at once", speed)


def processes(tell: Tell, device: torch.device) -> None:
    """The speed of 1, 4 and 8 processes, with both layouts of the images in memory."""
    lenet5 = cases(IMAGES)["LeNet-5"]
    for n_processes in (1, 4, 8):
        for name, layout in (("channels_last", torch.channels_last), ("contiguous", torch.contiguous_format)):
            case = replace(lenet5, layout=layout)

            def speed(case: Case = case, n_processes: int = n_processes) -> str:
                return f"{in_processes(case, device, n_processes):,.0f} images/s"

            attempt(tell, f"{n_processes}, {name}", speed)


class Waits(nn.Module):
    """A network whose forward pass waits for the GPU, which no graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(28 * 28, 10)

    def forward(self, images: Tensor) -> Tensor:
        output = self.layer(images.flatten(1))
        return output if output.sum().item() > -1e30 else -output


class Refused(nn.Module):
    """A network that makes a call which CUDA refuses, after some steps: the next kernel reports the error."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.n_left = nn.Linear(28 * 28, 10), 1
        with open("/proc/self/maps", encoding="utf-8") as maps:
            self.runtime = ctypes.CDLL(next(line.split()[-1] for line in maps if "libcudart" in line))

    def forward(self, images: Tensor) -> Tensor:
        self.n_left -= 1
        if self.n_left < 0 and self.training:
            self.runtime.cudaSetDevice(9999)
        return self.layer(images.flatten(1))


def beside_others(tell: Tell, device: torch.device, model: nn.Module) -> None:
    """Trains a network that fails beside three LeNets from graphs, and tells what becomes of each."""
    case = cases(IMAGES)["LeNet-5"]
    data, told, ends = noise(case, device), list[str](), dict[int, str]()
    train = TrainConfig()
    streams = [torch.cuda.Stream(device) for _ in range(N_BESIDE + 1)]
    others = [network(case, device, seed) for seed in range(N_BESIDE)]
    alone = [m.train_loss for m in fit(network(case, device, 0), data, train, epochs=3, seed=0)]

    def neighbour(number: int) -> None:
        torch.cuda.set_stream(streams[number])
        losses = [m.train_loss for m in fit(others[number], data, train, epochs=3, seed=number, graphs=True)]
        ends[number] = f"trained, last loss {losses[-1]:.5f}"

    def faulty(number: int) -> None:
        torch.cuda.set_stream(streams[number])
        job = TrialJob(0, Configuration(ConvNetConfig(), train), 3, 0, Path("."), "noise")
        try:
            for _ in fit(model.to(device), data, train, epochs=3, seed=9, graphs=True, tell=told.append):
                pass
            ends[number] = "trained"
        except Exception as error:
            found = failure_of(error, job, limited=False, explains=lambda error: True)
            ends[number] = f"{found.kind}: {found.message}"

    def guarded(call: Callable[[int], None], number: int) -> None:
        try:
            call(number)
        except Exception as error:
            ends[number] = f"failed: {type(error).__name__}: {first_line(error)}"

    calls = [neighbour] * N_BESIDE + [faulty]
    threads = [threading.Thread(target=guarded, args=(call, number)) for number, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tell("the trial with the fault", "; ".join([ends[N_BESIDE], *told]))
    for number in range(N_BESIDE):
        tell(f"neighbour {number}", ends[number])
    tell("neighbour 0 alone, without graphs", f"last loss {alone[-1]:.5f}")


def waiting_step(tell: Tell, device: torch.device) -> None:
    """Steps that cannot be captured."""
    beside_others(tell, device, Waits())


def refused_call(tell: Tell, device: torch.device) -> None:
    """An error after which CUDA works on."""
    beside_others(tell, device, Refused())


def out_of_memory(tell: Tell, device: torch.device) -> None:
    """More memory than torch may take."""
    torch.cuda.set_per_process_memory_fraction(4 * GIB / torch.cuda.get_device_properties(device).total_memory, device)
    large = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 1 << 19), nn.Linear(1 << 19, 10))
    beside_others(tell, device, large)


def search(tell: Tell, device: torch.device) -> None:
    """A search of 12 trials on noise, by processes without graphs and, where torch can, from graphs."""
    missing = [name for name in ("optuna", "mlflow") if importlib.util.find_spec(name) is None]
    if missing:
        tell("-", f"not run: {' and '.join(missing)} missing")
        return
    ways: dict[str, list[str]] = {"processes without graphs": []}
    if torch.__version__ >= GRAPHS_SINCE:
        ways["8 at once from graphs"] = ["--jobs-per-gpu", "8"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        random = np.random.default_rng(0)
        images, labels = random.integers(0, 256, (IMAGES, 28, 28), dtype=np.uint8), random.integers(0, 10, IMAGES)
        np.savez(Path(folder) / "noise.npz", images=images, labels=labels)
        for name, options in ways.items():
            command = [sys.executable, "-m", "sweeper", "search", str(Path(folder) / "noise.npz"), "--space", "lenet5"]
            command += ["--device", "cuda", "--trials", "12", "--epochs", "2", "--pruner", "none", "--quiet", *options]
            command += ["--store", str(Path(folder) / name.replace(" ", "-"))]
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
            seconds = time.perf_counter() - began
            ended = f"exit code {done.returncode}: {said}" if done.returncode else f"12 trials in {seconds:.1f} s"
            tell(name, ended)


PARTS: dict[str, Callable[[Tell, torch.device], Any]] = {
    part.__name__: part
    for part in (graph_tests, turnover, graphs, processes, waiting_step, out_of_memory, refused_call, search)
}


def main() -> None:
    part, name, results = sys.argv[1:]
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
    PARTS[part](partial(append, Path(results), name), torch.device("cuda:0"))
    os._exit(0)  # without waiting for threads that still train, or hang


if __name__ == "__main__":
    main()
