"""The store: the files of studies, and the SQL databases of Optuna and MLflow."""
