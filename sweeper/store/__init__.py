"""Where a study keeps its files, and the SQL databases of Optuna and MLflow."""
