"""MLflow, and nothing else of sweeper's imports it."""

import logging
import os

# Read by MLflow when it is imported, and inherited by every process that this one starts. It reports usage to its
# makers unless told not to, tells on stderr of every table that it makes and every file that it moves, and prints the
# address of each run on stdout, password and all. It does not try again, because we do: it would make a run twice when
# the answer to the first try was lost.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
# It would show the whole traceback of an error that is then raised, and told in a line.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
