"""Runs a study: queues its trials, trains them, and records their results."""
