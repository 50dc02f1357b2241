"""What could make a training step faster on one thread of a CPU, timed against the step as it is.

    python benchmarks/step.py ways
    python benchmarks/step.py allocators --preload jemalloc=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2
    python benchmarks/step.py validation
    python benchmarks/step.py compile

The networks are LeNet-5, the wide LeNet that usually wins, and the baseline of vgg_small, in float32 on random images.
All ways of a network take turns, so that a change of the machine's speed affects all of them; a ratio is that of a
round. Times are processor time of the thread. Allocators are for a whole process: they take turns, too, each time in a
process of its own. `compile` needs a C++ compiler.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from unittest.mock import patch

import torch
from step_ways import AS_IT_IS, WAYS, Running, compiled, data_of, nets
from torch import nn

from sweeper.process import processor
from sweeper.training import memory
from sweeper.training import validation as validation_module
from sweeper.training.device_data import TrainingData

# A measurement lasts at least so long.
SECONDS = 0.25

# Environments by name. The first is that of a worker; torch reads THP_MEM_ALLOC_ENABLE for its own allocations.
# OWN_THRESHOLDS makes `one` leave malloc as it is by itself.
OWN_THRESHOLDS = "SWEEPER_BENCHMARK_OWN_THRESHOLDS"
ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {
    AS_IT_IS: {},
    "malloc's own thresholds": {OWN_THRESHOLDS: "1"},
    "MALLOC_ARENA_MAX=1": {"MALLOC_ARENA_MAX": "1"},
    "huge pages for malloc": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "huge pages for tensors": {"THP_MEM_ALLOC_ENABLE": "1"},
}


def microseconds(way: Running, seconds: float = SECONDS) -> float:
    """The time of an image, over at least `seconds`."""
    with way.running():
        started, n_steps = time.thread_time(), 0
        while (taken := time.thread_time() - started) < seconds or n_steps < 2:
            way.step(way.batches[n_steps % len(way.batches)])
            n_steps += 1
    return 1e6 * taken / (n_steps * len(way.batches[0]))


def in_turns(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each measure gave in each round; one more before the first warms up."""
    for measure in measures.values():
        measure()
    seen: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            seen[name].append(measure())
    return seen


def print_table(title: str, what: str, found: Mapping[str, Sequence[float]]) -> None:
    """The median time of each way and its change against the first way, as the median, least and largest of a round."""
    usual = next(iter(found.values()))
    print(f"{title}:\n\n| {what} | us an image | change, % |\n|---|---:|---:|")
    for name, seen in found.items():
        changes = sorted(100 * (one / other - 1) for one, other in zip(seen, usual, strict=True))
        change = f"{statistics.median(changes):+.1f} ({changes[0]:+.1f} to {changes[-1]:+.1f})"
        print(f"| {name} | {statistics.median(seen):,.1f} | {'' if seen is usual else change} |")
    print(flush=True)


def ways(rounds: int) -> None:
    for net in nets():
        made = {name: way.make(net) for name, way in WAYS.items() if not way.families or net.name in way.families}
        measures = {name: partial(microseconds, way) for name, way in made.items()}
        print_table(net.name, "way", in_turns(measures, rounds))


def validation(rounds: int) -> None:
    """Times validation with several sizes of whole batches, and without inference mode."""
    for net in nets():
        model, data = WAYS[AS_IT_IS].make(net).model, data_of(net)
        measures = {AS_IT_IS: partial(validated, model, data)}
        measures |= {f"batches of {size}": partial(validated, model, data, size) for size in (32, 64, 128, 256, 512)}
        measures["no_grad"] = partial(validated, model, data, mode=torch.no_grad)
        print_table(net.name, "validation", in_turns(measures, rounds))


def validated(
    model: nn.Module, data: TrainingData, size: int | None = None, mode: type = torch.inference_mode
) -> float:
    """The time of an image in validation, over at least SECONDS; with `size`, in whole batches of so many images."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(torch, "inference_mode", mode))
        if size is not None:
            stack.enter_context(patch.dict(validation_module.EVALUATION_BATCH, cpu=size))
            stack.enter_context(patch.object(validation_module, "CPU_PART", size))
        started, n_images = time.thread_time(), 0
        while (taken := time.thread_time() - started) < SECONDS:
            validation_module.evaluate(model, data, data.validation)
            n_images += len(data.validation)
    return 1e6 * taken / n_images


def compile_all(rounds: int) -> None:
    """Times the compiled step, and says after how many images it has made up for the compilation."""
    for net in nets():
        usual, other = WAYS[AS_IT_IS].make(net), compiled(net)
        started = time.perf_counter()  # other processes compile
        other.step(other.batches[0])
        seconds = time.perf_counter() - started
        measures = {AS_IT_IS: partial(microseconds, usual), "compiled": partial(microseconds, other)}
        seen = in_turns(measures, rounds)
        print_table(net.name, "network", seen)
        saved = statistics.median(a - b for a, b in zip(seen[AS_IT_IS], seen["compiled"], strict=True))
        even = f"even after {1e6 * seconds / saved:,.0f} images" if saved > 0 else "never even"
        print(f"{seconds:.1f} s to compile, {even}\n", flush=True)


def allocators(rounds: int, preload: Sequence[str]) -> None:
    environments = dict(ENVIRONMENTS)
    for given in preload:
        name, _, path = given.partition("=")
        environments[name] = {"LD_PRELOAD": path}
    found: dict[str, dict[str, list[float]]] = {net.name: {name: [] for name in environments} for net in nets()}
    for _ in range(rounds):
        for name, environment in environments.items():
            command = [sys.executable, __file__, "one"]
            done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
            if done.stderr:
                print(f"{name}: {done.stderr}", file=sys.stderr)
            for measured, microseconds_of_image in json.loads(done.stdout).items():
                found[measured][name].append(microseconds_of_image)
    for net, seen in found.items():
        print_table(net, "environment", seen)


def one() -> None:
    """The times of the step as it is, in this process, as JSON."""
    if OWN_THRESHOLDS not in os.environ:
        memory.keep_freed(None, os.environ)
    found = {}
    for net in nets():
        way = WAYS[AS_IT_IS].make(net)
        microseconds(way)
        found[net.name] = microseconds(way, 3 * SECONDS)
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=("ways", "allocators", "validation", "compile", "one"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--preload", action="append", default=[], metavar="NAME=FILE", help="an allocator to preload")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if OWN_THRESHOLDS not in os.environ:
        memory.keep_freed(None, os.environ)  # as a worker does
    if options.mode == "one":
        one()
        return
    print(f"{os.cpu_count()} cores, {processor.of_this_machine()}, torch {torch.__version__}\n")
    match options.mode:
        case "ways":
            ways(options.rounds)
        case "validation":
            validation(options.rounds)
        case "compile":
            compile_all(options.rounds)
        case "allocators":
            allocators(options.rounds, options.preload)


if __name__ == "__main__":
    main()
