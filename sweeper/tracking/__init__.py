"""Tracks runs in MLflow. No other package of sweeper imports MLflow."""

import logging
import os

# MLflow reads these variables when it is imported, and every process that this one starts inherits them. By default,
# MLflow reports usage to its makers, logs on stderr every table that it creates and every file that it moves, and
# prints the address of each run on stdout, with the password. Its retries are off because sweeper retries: MLflow
# would create a run twice if the answer to the first request was lost.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
# This logger would print the whole traceback of an error that MLflow then raises, and that we show in one line.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
