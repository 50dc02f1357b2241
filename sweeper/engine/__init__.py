"""Runs trainings: jobs, the dispatcher that assigns them to workers, and the worker processes."""
