"""Plans trainings, runs them to their end, and logs them to MLflow."""
