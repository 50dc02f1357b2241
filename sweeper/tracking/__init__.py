"""MLflow, and nothing else of sweeper's imports it."""

import os

# Read by MLflow when it is imported, and inherited by every process that this one starts: it reports usage to its
# makers unless told not to, and tells on stderr of every table that it makes.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
