"""An ablation before it starts: what was recorded of an earlier one, what is left to train, and how long that takes."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import optuna

from sweeper.data.splits import Split
from sweeper.data.training_set import TrainingSet
from sweeper.engine import device_precision
from sweeper.engine.execution import Execution
from sweeper.engine.start import plan_execution
from sweeper.errors import SweeperError, first_line, joined, plain, shortened
from sweeper.events import Listener, Note, Step
from sweeper.promotion import cost, set_back, study_data
from sweeper.promotion import finalists as final
from sweeper.promotion import recorded as promotions_recorded
from sweeper.promotion.ablation_outcome import AblationOutcome
from sweeper.promotion.cost import Planned
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.jobs import PromotionJobs
from sweeper.promotion.outcome import PromotionOutcome
from sweeper.promotion.request import AblationRequest
from sweeper.promotion.set_back import SetBack
from sweeper.quantities import counted
from sweeper.runs.batch import Training
from sweeper.runs.stop import StopRequest
from sweeper.spaces.space import precision_follows
from sweeper.store.arguments import store_arguments
from sweeper.store.layout import Store
from sweeper.studies import data_source, lifecycle, lost_runs, trial_records
from sweeper.studies.attributes import id_of, spec_of
from sweeper.studies.ownership import owner_of
from sweeper.studies.queries import find_study
from sweeper.studies.storage_errors import UNREADABLE
from sweeper.tracking import promotions
from sweeper.training import checkpoint


@dataclass(frozen=True)
class Plan:
    """An ablation that can start: its trainings, by choice and by seed, and what they need.

    `champions` are the champion's own trainings, with the seeds of the promotion's estimate and more if there are not
    enough. `seconds` is about how long those trainings take that are not done yet, of which there are `n_left`; None if
    that is unknown.
    """

    request: AblationRequest
    study: optuna.Study
    promoted: PromotionOutcome
    training_set: TrainingSet
    split: Split
    execution: Execution
    jobs: PromotionJobs
    champion: Finalist
    seeds: Sequence[int]
    champions: Sequence[Training]
    choices: Sequence[SetBack]
    ablated: Mapping[str, Sequence[Training]]
    n_left: int
    seconds: float | None

    @property
    def announcement(self) -> str:
        """What it compares, what is left to train for that, and how long that takes, in words."""
        names = joined(choice.name for choice in self.choices)
        seeds = counted(len(self.seeds), "fresh seed")
        left = "nothing is left to train"
        if self.n_left:
            workers = counted(len(self.execution.workers), "worker")
            left = f"{counted(self.n_left, 'training')}, {cost.in_words(self.seconds)} with {workers}"
        return (
            f"Study {self.study.study_name}: {self.champion.name}, the champion, is compared with itself with each of "
            f"its choices set back to the baseline's ({names}), with {seeds}: {left}"
        )


def recorded(store: Store, study: optuna.Study, promoted: PromotionOutcome | None) -> AblationOutcome | None:
    """The recorded ablation of the promotion's champion; None if there is none, or only one of an earlier champion.

    Raises SweeperError if MLflow cannot be used, or what was recorded cannot be read.
    """
    found = _recorded(store, study, promoted) if promoted else None
    return found and found[1]


def plan(request: AblationRequest, listener: Listener, stop: StopRequest) -> Plan | AblationOutcome:
    """What the ablation would train; the outcome if nothing is to be trained, because it is recorded or trivial.

    Trains nothing. Raises SweeperError, without a promotion too, and UsageError.
    """
    store = request.store
    study = find_study(store, request.study)
    lost_runs.check(store, study.study_name)
    promoted = promotion_of(store, study)
    if promoted.entrants[0].is_baseline:
        why = f"The champion of study {study.study_name} is the baseline"
        return _without_choices(study, promoted, why)
    if not request.again and (known := _recorded(store, study, promoted)):
        run_id, found = known
        if promotions.is_running(store, run_id) and owner_of(store, study) is None:  # it was killed at its end
            promotions.end(store, run_id)
        text = f"Study {study.study_name} was ablated before: the recorded result is shown, and nothing is trained"
        listener(Note(text))
        if request.seeds not in (None, found.n_seeds):
            seeds = f"--seeds {request.seeds} does not change a recorded result of {counted(found.n_seeds, 'seed')}"
            listener(Note(f"{seeds}; --again ablates anew with it"))
        return found
    lifecycle.check_usable(study, store_arguments(store))
    source = data_source.source_of(study, request.data_access)
    listener(Step(f"Reading the images of {plain(source.dataset)}"))
    training_set, split = study_data.load_to_train(study, source, listener, "ablated")
    stop.check()
    planned = _planned(request, study, promoted, training_set, split)
    if not planned.choices:
        champion = f"{planned.champion.name}, the champion of study {study.study_name}"
        why = f"{champion}, differs from the baseline only in what changes nothing"
        return _without_choices(study, promoted, why)
    return planned


def promotion_of(store: Store, study: optuna.Study) -> PromotionOutcome:
    """The study's recorded promotion. Raises SweeperError, with the command for it, if there is none."""
    promotion = promotions_recorded.find(store, study)
    if promotion is None:
        command = f"sweeper promote {shlex.quote(study.study_name)}{store_arguments(store)}"
        raise SweeperError(f"study {study.study_name} has no champion yet: `{command}` finds one")
    return promotions_recorded.outcome_of(store, study, promotion)


def _recorded(store: Store, study: optuna.Study, promoted: PromotionOutcome) -> tuple[str, AblationOutcome] | None:
    """The run and the outcome of the recorded ablation of this promotion's champion, if there is one."""
    spec = spec_of(study)
    found = promotions.find_ablation(store, spec.dataset, spec.data_sha256, id_of(study))
    if found is None:
        return None
    run_id, text = found
    try:
        outcome = AblationOutcome.from_text(text)
    except UNREADABLE as error:
        raise SweeperError(
            f"the recorded ablation of study {study.study_name} cannot be read ({type(error).__name__}: "
            f"{shortened(first_line(error))}): --again ablates anew"
        ) from error
    # A later promotion may have another champion, or have ordered the finalists by seeds of the ablation.
    if outcome.trial != promoted.entrants[0].trial or min(outcome.seeds) <= _n_ordering(promoted):
        return None
    return run_id, outcome


def _n_ordering(promoted: PromotionOutcome) -> int:
    """How many seeds have ordered the finalists: they are numbered from 1, and those of the estimate come next."""
    n_seeds: int = promoted.entrants[0].validation["n_seeds"]
    return n_seeds


def _without_choices(study: optuna.Study, promoted: PromotionOutcome, why: str) -> AblationOutcome:
    return AblationOutcome(
        study=study.study_name,
        metric=promoted.metric,
        trial=promoted.entrants[0].trial,
        part="confirm",
        n_images=0,
        seeds=[],
        value=None,
        low=None,
        high=None,
        n_parameters=promoted.entrants[0].n_parameters,
        rows=[],
        sentence=f"{why}: there is no choice to set back.",
        notes=[],
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _planned(
    request: AblationRequest, study: optuna.Study, promoted: PromotionOutcome, training_set: TrainingSet, split: Split
) -> Plan:
    spec, store = spec_of(study), request.store
    trials = trial_records.records(study)
    champion, baseline, others = _finalists(study, promoted, trials, training_set)
    execution = plan_execution(request.device, training_set.images.nbytes, os.environ)
    device_precision.check({f.configuration.train.precision for f in (champion, baseline)}, execution)
    jobs = PromotionJobs(study.study_name, id_of(study), spec, training_set, execution, store)
    first = _n_ordering(promoted) + 1
    seeds = range(first, first + (request.seeds or _n_ordering(promoted)))
    choices = set_back.each(
        champion,
        baseline,
        spec.space.get("parameters", {}),
        training_set.input_shape,
        len(training_set.classes),
        follow=("precision",) if precision_follows(spec.space.get("fixed", {})) else (),
    )
    ablated: dict[str, list[Training]] = {}
    for choice in choices:
        if choice.configuration is None:
            continue
        # The networks of a finalist with this configuration are those of the promotion.
        known = [f for f in others if (f.configuration, f.epochs) == (choice.configuration, choice.epochs)]
        ablated[choice.name] = [
            jobs.fresh_seed(known[0], number) if known else jobs.ablated(champion, choice, number) for number in seeds
        ]
    champions = [jobs.fresh_seed(champion, number) for number in seeds]
    left = [one for trainings in [champions, *ablated.values()] for one in trainings if not is_here(one)]
    planned = [Planned(one.job.configuration, one.job.epochs) for one in left]
    return Plan(
        request=request,
        study=study,
        promoted=promoted,
        training_set=training_set,
        split=split,
        execution=execution,
        jobs=jobs,
        champion=champion,
        seeds=seeds,
        champions=champions,
        choices=choices,
        ablated=ablated,
        n_left=len(left),
        seconds=cost.seconds(spec, trials, planned, len(execution.workers)),
    )


def is_here(training: Training) -> bool:
    """Whether the network of the training lies in the store, from an earlier command or from the promotion."""
    return checkpoint.holds(training.job.weights, training.job.identity)


def _finalists(
    study: optuna.Study,
    promoted: PromotionOutcome,
    trials: Sequence[trial_records.TrialRecord],
    training_set: TrainingSet,
) -> tuple[Finalist, Finalist, list[Finalist]]:
    """Champion, baseline, and all finalists but the champion. Raises SweeperError if the champion's trial is gone."""
    selected = final.select(
        trials,
        spec_of(study),
        top=1,
        input_shape=training_set.input_shape,
        n_classes=len(training_set.classes),
        numbers=[entrant.trial for entrant in promoted.entrants],
    )
    champion = next((f for f in selected if f.trial == promoted.entrants[0].trial), None)
    if champion is None:
        raise SweeperError(
            f"the search no longer has trial {promoted.entrants[0].trial}, the champion of study {study.study_name}: "
            "`sweeper promote --again` finds another"
        )
    others = [f for f in selected if f is not champion]
    return champion, next(f for f in others if f.is_baseline), others
