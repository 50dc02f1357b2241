"""Promotes the best trials of a search: fresh seeds, confirm, refit, register, and at most one test evaluation."""
