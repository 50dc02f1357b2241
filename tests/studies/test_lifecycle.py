from dataclasses import replace

import optuna
import pytest

from sweeper.errors import SweeperError, UsageError
from sweeper.images.options import DataOptions
from sweeper.store.options import StoreOptions
from sweeper.studies import lifecycle
from sweeper.studies.attributes import id_of
from sweeper.studies.seeds import derive_seed
from sweeper.studies.spec import StudySpec
from sweeper.studies.storage import free_name, open_storage, study_names
from tests.sweep.sweeps import SPEC


def test_derived_seeds_are_stable_and_differ_by_every_part():
    # Recorded: another value here means that earlier studies can no longer be repeated.
    assert derive_seed(0, "trial", 1) == 1_830_134_009
    seeds = {derive_seed(s, w, n) for s in range(5) for w in ("trial", "sampler") for n in range(50)}
    assert len(seeds) == 500
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_new_study_gets_the_first_free_name(tmp_path):
    storage = open_storage(StoreOptions(tmp_path).resolve({}))
    assert free_name(storage, "a") == "a"
    for taken in ("a", "a-2"):
        optuna.create_study(study_name=taken, storage=storage)
    assert free_name(storage, "a") == "a-3"


def test_locked_database_is_waited_for_a_minute(tmp_path):
    storage = open_storage(StoreOptions(tmp_path).resolve({}))
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000


def test_study_of_somebody_elses_is_not_taken_over(tmp_path):
    storage = open_storage(StoreOptions(tmp_path).resolve({}))
    other = optuna.create_study(study_name="theirs", storage=storage)
    other.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(UsageError, match="study 'theirs' in this storage is not one of sweeper's"):
        lifecycle.open_study(
            storage, "theirs", StudySpec(dataset="x", data_sha256="0", fold_scalings=[([0.0], [1.0])]), None
        )
    assert study_names(storage) == []


@pytest.mark.parametrize("scaling", [([0.5], [0.25]), ([0.6], [0.2])], ids=["same mean", "another mean"])
@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ((), ("transparency on white",), "were read as stored when it began, and are read with transparency on white"),
        (("orientation by EXIF", "a"), ("a",), "were read with orientation by EXIF; a when it began, and are read"),
        (
            ("a",),
            (),
            "were read with a when it began, and are read as stored now, which may give other pixels; give --new",
        ),
    ],
)
def test_study_of_the_same_files_read_otherwise_is_refused_with_the_reason(tmp_path, before, now, told, scaling):
    storage = open_storage(StoreOptions(tmp_path).resolve({}))
    spec = StudySpec.from_json(SPEC)
    study = optuna.create_study(study_name="s", storage=storage, direction="maximize")
    study.set_user_attr(lifecycle.SPEC, replace(spec, conversions=before).as_json())
    with pytest.raises(UsageError, match=f"^study s cannot go on: the same files {told}"):
        lifecycle.find_resumable(storage, "s", replace(spec, conversions=now, fold_scalings=[scaling]))
    other = replace(spec, conversions=now, data_sha256="1")
    with pytest.raises(UsageError, match=r"started with data_sha256 .*: the training data, or what .* have changed"):
        lifecycle.find_resumable(storage, "s", other)
    assert lifecycle.find_resumable(storage, "s", replace(spec, conversions=before)) is not None


def test_study_that_skipped_files_which_are_read_now_is_refused_with_the_reason(tmp_path):
    storage = open_storage(StoreOptions(tmp_path).resolve({}))
    options = DataOptions(skip_bad=True)
    spec = replace(StudySpec.from_json(SPEC), data_options=options, split_sha256="1")
    study = optuna.create_study(study_name="s", storage=storage, direction="maximize")
    study.set_user_attr(lifecycle.SPEC, spec.as_json())
    with pytest.raises(UsageError, match=r"^study s cannot go on: --skip-bad left out other files when it began"):
        lifecycle.find_resumable(storage, "s", replace(spec, split_sha256="2"))
    with pytest.raises(UsageError, match="study s was started with skip_bad True"):
        lifecycle.find_resumable(storage, "s", replace(spec, data_options=DataOptions(), split_sha256="2"))


def test_unusable_storage_is_one_line_without_its_password(tmp_path):
    for url in ("postgresql://me:secret@127.0.0.1:1/none", "nonsense://x", f"sqlite:///{tmp_path}/missing/optuna.db"):
        store = StoreOptions(tmp_path, url).resolve({})
        with pytest.raises(SweeperError, match=r"Optuna's storage .* cannot be used") as refused:
            open_storage(store)
        assert "secret" not in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("study_id", ["../../../x", "", None, 5, "0" * 31, "A" * 32])
def test_id_that_is_none_of_ours_names_no_file(tmp_path, study_id):
    study = optuna.create_study(study_name="mine")
    study.set_user_attr("study_id", study_id)
    with pytest.raises(SweeperError, match=r"^study mine cannot be read: its id must be 32 hexadecimal digits, got "):
        id_of(study)


@pytest.mark.parametrize(("fit", "added"), [(None, " --fit crop"), ("pad", ""), ("crop", "")])
def test_command_that_resumes_a_study_from_before_fit_says_that_images_were_cropped(tmp_path, fit, added):
    storage = open_storage(StoreOptions(tmp_path).resolve({}))
    options = DataOptions(resize=8, fit=fit or "crop")
    spec = StudySpec(dataset="x", data_options=options, data_sha256="0", fold_scalings=[([0.0], [1.0])])
    study = optuna.create_study(study_name="x", storage=storage)
    stored = spec.as_json()
    if fit is None:
        del stored["fit"]
    command = "sweeper search tiny --resize 8 --study x"
    for key, value in ((lifecycle.SPEC, stored), (lifecycle.SCHEMA, lifecycle.CURRENT_SCHEMA)):
        study.set_user_attr(key, value)
    study.set_user_attr(lifecycle.COMMAND, command)
    assert lifecycle.resuming_command(study, tmp_path) == command + added
