"""The kind of processor or GPU that a study's trials are trained on, as far as the study knows it."""

import optuna

from sweeper.process import processor
from sweeper.studies.attributes import PROCESSOR, attributes_of


def of(study: optuna.Study) -> str:
    """The kind that its first trial was trained on, or must be; empty if none is known, as in older studies."""
    return str(attributes_of(study).get(PROCESSOR, ""))


def record(study: optuna.Study, kind: str) -> str:
    """Records that trials are trained on this kind from now on. Returns a note if others were trained on another."""
    if not (before := of(study)):
        study.set_user_attr(PROCESSOR, kind)
    return processor.change(before, kind)
