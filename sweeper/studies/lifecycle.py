"""Starts and resumes studies in Optuna's storage, and records which process works on them and how it ended."""

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from sweeper.errors import SweeperError, UsageError, shortened
from sweeper.events import State
from sweeper.images.options import with_fit
from sweeper.spaces.space import Space
from sweeper.store.redaction import redact
from sweeper.studies import resume_command
from sweeper.studies.attributes import (
    CURRENT_SCHEMA,
    PROCESSOR,
    SCHEMA,
    SPEC,
    STUDY_ID,
    attributes_of,
    check_attributes,
    id_of,
    spec_in,
)  # fmt: skip
from sweeper.studies.conversions import other_images, other_reading
from sweeper.studies.objective import LABELS, direction
from sweeper.studies.pruners import PRUNERS
from sweeper.studies.spec import StudySpec
from sweeper.studies.spec_comparison import OF_THE_PIXELS, first_difference
from sweeper.studies.trial_records import records

# Attributes of a study. `ended` is what ended its last process, "" if nothing is left to do, None until the process
# records it. `command` resumes the study. `data_path` is where its data were, if they are not a known data set.
ENDED, COMMAND, DATA_PATH = "ended", "command", "data_path"
# What always saying the largest class of the validation part scores: the fields of evaluation.constant.Constant.
CONSTANT = "constant"
# Ends that leave nothing to resume: the trials are done, or the target is reached.
DONE = ("", "target")
DELETING = "sweeper delete"


def find_or_create(storage: BaseStorage, name: str, spec: StudySpec) -> optuna.Study:
    """The study of this name, empty if it is new; nothing is written to one that exists, and no trial is read.

    Raises UsageError if it was started with another spec: the results would not be comparable.
    """
    study = _matching(storage, name, spec)
    if study is None:
        # Another store's command may create it at the same moment.
        return optuna.create_study(
            study_name=name, storage=storage, direction=direction(spec.metric), load_if_exists=True
        )
    return study


def open_study(storage: BaseStorage, name: str, spec: StudySpec, space: Space, processor: str = "") -> optuna.Study:
    """Starts the study, with its variants enqueued first, or resumes it. Only its owner may call this.

    `processor` is the kind for which the precisions of a new study were settled, if it may train on no other.
    Raises UsageError if a study of this name was started with another spec.
    """
    study = find_or_create(storage, name, spec)
    if STUDY_ID not in study.user_attrs:
        study.set_user_attr(STUDY_ID, uuid4().hex)
    study.set_user_attr(SCHEMA, CURRENT_SCHEMA)
    if processor and SPEC not in study.user_attrs:
        study.set_user_attr(PROCESSOR, processor)
    # SPEC marks a study as sweeper's. It is written last, so that every study with it has the other attributes, too.
    study.set_user_attr(SPEC, spec.as_json())
    _enqueue_variants(study, space)
    return study


def find_resumable(
    storage: RDBStorage, name: str, spec: StudySpec, unknown: Collection[str] = (), store_options: str = ""
) -> optuna.Study | None:
    """The study of this name, which a search with this spec may resume; None if there is none. Writes nothing.

    Keys of the stored spec that are `unknown` of this one are not compared. `store_options` are as in check_usable.
    Raises UsageError for a study with another spec, or one that is not sweeper's, and SweeperError for one that cannot
    be read or resumed.
    """
    study = _matching(storage, name, spec, unknown, store_options)
    if study is not None and SPEC in attributes_of(study):
        records(study)
    return study


def _matching(
    storage: BaseStorage, name: str, spec: StudySpec, unknown: Collection[str] = (), store_options: str = ""
) -> optuna.Study | None:
    """As find_resumable, but whether the trials can be read is left open."""
    if name not in optuna.get_all_study_names(storage):
        return None
    study = optuna.load_study(study_name=name, storage=storage)
    attributes = check_usable(study, store_options)
    if SPEC in attributes:
        _refuse_old_losses(study.study_name, attributes)
        _refuse_changes(name, attributes[SPEC], spec, unknown)
    elif study.get_trials(deepcopy=False) or study.direction.name.lower() != direction(spec.metric):
        raise UsageError(f"study {name!r} in this storage is not one of sweeper's (--study)")
    if STUDY_ID in attributes:
        id_of(study)
    return study


def stored_pruner(storage: RDBStorage, name: str) -> str | None:
    """The pruner of the study of this name; None if there is no such study, or it has none."""
    found = stored_spec(storage, name).get("pruner")
    return found if found in PRUNERS else None


def has_unnamed_weights(storage: RDBStorage, name: str) -> bool:
    """Whether the study of this name is of an older sweeper: its spec names no pretrained weights.

    It scales pixels by the data's mean and std for pretrained networks, too, and goes on so.
    """
    spec = stored_spec(storage, name)
    return bool(spec) and not spec.get("pretrained")


def stored_spec(storage: RDBStorage, name: str) -> Mapping[str, Any]:
    """What is stored as the spec of the study of this name; empty if there is none."""
    if name not in optuna.get_all_study_names(storage):
        return {}
    spec = attributes_of(optuna.load_study(study_name=name, storage=storage)).get(SPEC)
    return spec if isinstance(spec, dict) else {}


def mark_running(study: optuna.Study, trials: int, command: str) -> None:
    """Records that a process works on the study until it has `trials` trials; `command` resumes the study."""
    study.set_user_attr("trials", trials)
    study.set_user_attr(COMMAND, redact(command))
    study.set_user_attr(ENDED, None)


def mark_ended(study: optuna.Study, reason: str) -> None:
    """Records why the process no longer works on the study; one of DONE if nothing is left to do."""
    study.set_user_attr(ENDED, redact(reason))


def check_schema(study: optuna.Study) -> Mapping[str, Any]:
    """The study's attributes. Raises SweeperError if they were changed, or a newer sweeper has written the study."""
    attributes = check_attributes(study)
    _refuse_newer(study.study_name, attributes)
    return attributes


def refuse_newer(study: optuna.Study) -> None:
    """Raises SweeperError for a study that a newer sweeper has written."""
    _refuse_newer(study.study_name, attributes_of(study))


def _refuse_newer(name: str, attributes: Mapping[str, Any]) -> None:
    schema = attributes.get(SCHEMA, CURRENT_SCHEMA)
    if isinstance(schema, int) and schema > CURRENT_SCHEMA:
        raise SweeperError(
            f"study {name} was written by a newer sweeper (its schema is {schema}, this one knows "
            f"{CURRENT_SCHEMA}): upgrade sweeper, or choose another study"
        )


def check_usable(study: optuna.Study, store_options: str = "") -> Mapping[str, Any]:
    """The study's attributes.

    Raises SweeperError for a study that nothing may be added to: it has another schema, or is half deleted.
    `store_options` are those with which a command finds the study's store.
    """
    name, attributes = study.study_name, check_schema(study)
    schema = attributes.get(SCHEMA, CURRENT_SCHEMA)
    if schema < CURRENT_SCHEMA:
        raise SweeperError(
            f"study {name} was written by an older sweeper (its schema is {schema}, this one writes "
            f"{CURRENT_SCHEMA}): it can be shown, but not resumed"
        )
    if attributes.get(ENDED) == DELETING:
        command = f"sweeper delete {shlex.quote(name)}{store_options}"
        raise SweeperError(f"study {name} is half deleted: `{command}` deletes the rest of it")
    return attributes


def check_resumable(study: optuna.Study, store_options: str = "") -> Mapping[str, Any]:
    """The study's attributes. Raises SweeperError if no search can resume it: its results would be of two kinds."""
    attributes = check_usable(study, store_options)
    _refuse_old_losses(study.study_name, attributes)
    return attributes


def resuming_command(study: optuna.Study, root: Path) -> str | None:
    """The command that resumes the study, which lies in the store at `root`.

    None if no search can resume it, or there is no record of the command.
    """
    try:
        attributes = check_resumable(study)
    except SweeperError:
        return None
    command = resume_command.in_store(attributes.get(COMMAND), root)
    stored = attributes[SPEC]
    # The command is from before there was a choice, and would be another study's now.
    return f"{command} --fit crop" if command and with_fit(stored) != stored else command


def _enqueue_variants(study: optuna.Study, space: Space) -> None:
    # A failed variant is tried again: the cause may have been fixed.
    present = {trial.variant for trial in records(study) if trial.state != State.FAILED}
    for variant in space.variants.values():
        if variant.name in present:
            continue
        params = space.point(variant.configuration)
        attributes = {"variant": variant.name, "comparator": params is None}
        if params is None:
            study.add_trial(optuna.create_trial(state=TrialState.WAITING, user_attrs=attributes))
        else:
            study.enqueue_trial(params, user_attrs=attributes)


def _refuse_old_losses(name: str, attributes: Mapping[str, Any]) -> None:
    spec = spec_in(name, attributes)
    if spec.has_old_losses:
        logged = "" if spec.has_old_scores else f" only logged losses differ, not the scores ({LABELS[spec.metric]});"
        raise SweeperError(
            f"study {name} was searched by an older sweeper, for which the loss of a network with "
            f"softmax_output was another quantity:{logged} it can be shown and promoted, but not resumed; a search "
            "with --new starts another"
        )


def _refuse_changes(name: str, stored: Mapping[str, Any], spec: StudySpec, unknown: Collection[str]) -> None:
    if difference := first_difference(stored, spec, unknown):
        field, before, now = difference
        reading = other_reading(stored.get("conversions", ()), spec.conversions)
        reading = reading or other_images(field, spec.data_options.skip_bad)
        if reading and field in OF_THE_PIXELS:
            raise UsageError(f"study {name} cannot go on: {reading}; give --new for another study")
        remedy = "give the same value"
        if field == "data_sha256":
            remedy = "the training data, or what this version of sweeper reads of them, have changed; restore them"
        if field.endswith("code_sha256"):
            remedy = "the code of the network has changed; give the file as it was"
        if field.startswith("pretrained."):
            remedy = "put the old weights back"
        raise UsageError(
            f"study {name} was started with {field} {shortened(repr(before))}, this command has "
            f"{shortened(repr(now))}: {remedy}, or --new for another study"
        )
