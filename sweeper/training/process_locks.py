"""Locks for what all trainings of a process share, without torch: a worker imports them before it limits its memory."""

from threading import Lock, RLock

# A GPU's default generator and its memory pool: neither may be touched while another training captures a graph.
gpu = RLock()
# Torch's generator on the CPU, from which initial weights are drawn, and what torch imports and patches when it makes
# its first optimizers.
building = Lock()
