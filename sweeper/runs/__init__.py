"""Recorded trainings: planned, trained to their end, and logged to MLflow."""
