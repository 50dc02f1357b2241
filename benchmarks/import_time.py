"""Measures how long `import sweeper` takes, beyond Python's own start; for comparison, one of its functions and torch.

python benchmarks/import_time.py --rounds 10
"""

import argparse
import statistics
import subprocess
import sys
import time

WAYS = {
    "import sweeper": "import sweeper",
    "sweeper.search, not called": "import sweeper; sweeper.search",
    "import torch": "import torch",
}


def seconds(code: str) -> float:
    """The wall time of a new Python that runs the code."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Prints the median, least and most seconds of each way, less those of a Python that imports nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        start = seconds("pass")
        for name, code in WAYS.items():
            taken[name].append(seconds(code) - start)
    for name, values in taken.items():
        print(f"{name:28} {statistics.median(values):.3f} s ({min(values):.3f} to {max(values):.3f})")


if __name__ == "__main__":
    main()
