from dataclasses import replace
from types import SimpleNamespace

from sweeper.promotion import head_start, study_data
from sweeper.promotion.options import PromotionOptions
from tests.promotion.test_cost import ONE, TRIALS
from tests.promotion.test_finalists import selected, spec

# Trials as in test_cost, with minutes for seconds: an epoch of trial 1 takes 10.
SLOW = [replace(trial, seconds=60 * trial.seconds) for trial in TRIALS]


def training(part, epochs):
    job = SimpleNamespace(configuration=ONE, epochs=epochs)
    return SimpleNamespace(key=f"{part}-{epochs}", job=job, tags={"sweeper.part": part})


def test_announced_time_is_of_what_is_left_with_more_images_for_a_refit(monkeypatch):
    jobs = SimpleNamespace(
        spec=spec(), execution=SimpleNamespace(workers=["cpu"], engine="local", required_processor="kind")
    )
    monkeypatch.setattr(head_start, "is_trained", lambda jobs, training, kind: training.key == "train-9")
    trainings = [training("train", 3), training("train", 9), training("pool", 3)]
    said = study_data.announced(jobs, SLOW, trainings, refit_size=1.5)
    assert said == "3 trainings; 2 are left and take about 75 minutes with 1 worker"


def test_fewer_configurations_than_asked_for_are_counted(monkeypatch):
    monkeypatch.setattr(study_data, "spec_of", lambda study: replace(spec(), device="cpu"))
    study = SimpleNamespace(study_name="mine", user_attrs={})

    def noted(trials, top):
        return list(study_data.notes(study, trials, selected(trials), PromotionOptions(top=top), "cpu", "1 training"))

    assert "--top 2: only 1 distinct configuration has finished" in noted(TRIALS[:1], 2)
    assert "--top 4: only 3 distinct configurations have finished" in noted(TRIALS, 4)
    assert not any("distinct" in note for note in noted(TRIALS, 3))
