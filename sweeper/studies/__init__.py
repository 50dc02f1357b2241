"""Studies in Optuna's storage."""
