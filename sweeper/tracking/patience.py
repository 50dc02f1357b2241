"""How long a command that ends waits for MLflow. Imports nothing slow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How many seconds a command waits: for a write that fails, and for all writes together."""

    failing: float
    total: float


# For a command that was stopped by a signal.
HURRIED = Patience(failing=2.0, total=8.0)
