"""The tag with the user whom MLflow's interface shows for a run."""

from mlflow.tracking.context.default_context import DefaultRunContext
from mlflow.utils.mlflow_tags import MLFLOW_USER

UNKNOWN = "unknown"  # MLflow's own word


def user_tag() -> dict[str, str]:
    """The tag of a new run with the user that MLflow itself would name: that of its server, or else the login name."""
    try:
        name = DefaultRunContext().tags()[MLFLOW_USER]
    except (KeyError, OSError):  # a process in a container may have a number that no user has
        name = UNKNOWN
    return {MLFLOW_USER: name}
