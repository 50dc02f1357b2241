"""Which parameters mattered for a study's scores, and how much importance chance alone would show."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from sweeper.events import State
from sweeper.studies.attributes import spec_of
from sweeper.studies.objective import LABELS
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord

# Small forests, because each shuffle of the scores needs one of its own.
N_TREES = 16
EVALUATOR = f"extremely randomized trees ({N_TREES} of them), on the ranks of the scores"
# A parameter without effect is above all of them once in 201 studies, so that one of ten is once in twenty.
N_SHUFFLES = 200
LEAST_TRIALS = 40

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Importance:
    """How much of the variation of a study's scores each parameter explains, beside what chance alone explains.

    `shares` are of 1, by parameter, the largest first. `null_low` and `null_high` are the least and the largest share
    of the same parameter on `n_shuffles` shuffles of the scores; a share is `above_chance` if it is larger than all of
    them. `scores` says in words which scores of the trials the shares are of, and `caution` what those cannot tell.
    `conditional` has, for each parameter that only some trials have, what was done about it. Without importances,
    `refused` is a sentence with the reason, and there are no shares.
    """

    evaluator: str
    scores: str
    n_trials: int
    n_shuffles: int
    shares: Mapping[str, float] = field(default_factory=dict)
    null_low: Mapping[str, float] = field(default_factory=dict)
    null_high: Mapping[str, float] = field(default_factory=dict)
    above_chance: Mapping[str, bool] = field(default_factory=dict)
    conditional: Mapping[str, str] = field(default_factory=dict)
    caution: str = ""
    refused: str = ""

    @property
    def basis(self) -> str:
        """Which scores of how many trials the shares are of."""
        return f"{self.scores}, {self.n_trials} trials"

    def as_json(self) -> dict[str, Any]:
        """The importances as plain data."""
        return asdict(self)


def measure(
    study: optuna.Study, trials: Sequence[TrialRecord], n_shuffles: int = N_SHUFFLES, seed: int = 0
) -> Importance:
    """The importance of each searched parameter of the study, and what `n_shuffles` shuffles of the scores give.

    The scores are those at the last epoch, or number of trainings, that all trials reached: because of pruning, too few
    trials reach the end. The same trials and `seed` give the same result.
    """
    spec = spec_of(study)
    scored = [t for t in trials if t.state in (State.COMPLETE, State.PRUNED) and t.feasible and t.params and t.values]
    step = min((max(trial.values) for trial in scored), default=0)
    scored = [trial for trial in scored if np.isfinite(trial.values[step])]
    nothing = Importance(EVALUATOR, _in_words(spec, step), len(scored), n_shuffles, caution=_caution(spec, step))
    ranks = ranks_of([trial.values[step] for trial in scored])
    if refused := _refused(spec, ranks):
        return replace(nothing, refused=refused)
    points = [trial.params for trial in scored]
    searched = [name for name in spec.space.get("parameters", {}) if any(name in trial.params for trial in scored)]
    common = [name for name in searched if all(name in trial.params for trial in scored)]
    found = importances(points, common, ranks, n_shuffles, seed)
    conditional: dict[str, str] = {}
    for name in (name for name in searched if name not in common):
        those = [index for index, trial in enumerate(scored) if name in trial.params]
        only = f"only {len(those)} of {len(scored)} trials have it{_condition(spec, name)}"
        if len(those) < LEAST_TRIALS:
            conditional[name] = f"{only}, and an importance needs {LEAST_TRIALS}"
            continue
        conditional[name] = f"{only}: its share is of these trials' scores"
        having = [points[index] for index in those]
        found[name] = importances(having, [*common, name], ranks_of(ranks[those]), n_shuffles, seed)[name]
    order = sorted(found, key=lambda name: -found[name][0])
    return replace(
        nothing,
        shares={name: found[name][0] for name in order},
        null_low={name: found[name][1] for name in order},
        null_high={name: found[name][2] for name in order},
        above_chance={name: found[name][0] > found[name][2] for name in order},
        conditional=conditional,
    )


def _in_words(spec: StudySpec, step: int) -> str:
    """Which scores of the trials are explained."""
    if not step:
        return f"validation {LABELS[spec.metric]}"
    unit = "epoch" if len(spec.trainings) == 1 else "training"
    return f"validation {LABELS[spec.metric]} after {unit} {step} of {spec.n_steps}"


def _caution(spec: StudySpec, step: int) -> str:
    """What scores of a step before the last cannot tell."""
    if not step or step == spec.n_steps:
        return ""
    unit, ended = ("epoch", "training") if len(spec.trainings) == 1 else ("training", "a trial")
    return (
        f"The pruned trials have no later score: what makes a network good after {unit} {step} need not be what makes "
        f"it best at the end of {ended}."
    )


def _refused(spec: StudySpec, ranks: Floats) -> str:
    """Why there are no importances; empty if there are."""
    if spec.variants_only:
        return "The variants were picked by hand: how their scores vary says nothing of a single parameter."
    if len(ranks) < LEAST_TRIALS:
        return (
            f"Parameter importances need {LEAST_TRIALS} trials with a score, and the study has {len(ranks)}: with "
            "fewer, they mostly show chance."
        )
    if len(set(ranks)) == 1:
        return f"All {len(ranks)} trials have the same score: no parameter made a difference."
    return ""


def _condition(spec: StudySpec, name: str) -> str:
    """When a parameter is there, as words to follow; empty if its space does not say."""
    when = spec.space["parameters"][name].get("when", {})
    if not when:
        return ""
    words = [f"{other} {value}" for other, value in when.items()]
    return f" (those with {' and '.join(words)})"


def importances(
    points: Sequence[Mapping[str, Any]], names: Sequence[str], ranks: Floats, n_shuffles: int, seed: int
) -> dict[str, tuple[float, float, float]]:
    """By parameter: its share of the variation of `ranks`, and the least and the largest share on shuffled ranks.

    `points` are the trials' values by parameter; each has all `names`.
    """
    columns, owners = [], []
    for owner, name in enumerate(names):
        encoded = _columns([point[name] for point in points])
        columns += encoded
        owners += [owner] * len(encoded)
    inputs = np.array(columns, np.float32).T
    rng = np.random.default_rng(seed)
    share = _shares(inputs, owners, ranks, len(names), seed)
    null = np.array([_shares(inputs, owners, rng.permutation(ranks), len(names), seed) for _ in range(n_shuffles)])
    low, high = null.min(axis=0), null.max(axis=0)
    return {name: (float(share[i]), float(low[i]), float(high[i])) for i, name in enumerate(names)}


def _shares(inputs: NDArray[np.float32], owners: Sequence[int], ranks: Floats, n_names: int, seed: int) -> Floats:
    """The share of the explained variation of `ranks` that is due to splits on each parameter's columns."""
    from sklearn.ensemble import ExtraTreesRegressor  # takes a second to import

    forest = ExtraTreesRegressor(N_TREES, random_state=seed).fit(inputs, ranks)
    return np.bincount(owners, forest.feature_importances_, minlength=n_names).astype(np.float64)


def _columns(values: Sequence[Any]) -> list[Floats]:
    """A parameter's values as columns: the ranks of different numbers, or one column for each of its choices."""
    if all(isinstance(value, float | int) and not isinstance(value, bool) for value in values):
        return [ranks_of(values)]
    texts = np.array([repr(value) for value in values])
    return [(texts == text).astype(np.float64) for text in sorted(set(texts))]


def ranks_of(values: Any) -> Floats:
    """The ranks of the values, from 1; equal values share their mean rank."""
    from scipy.stats import rankdata

    ranks: Floats = rankdata(values)
    return ranks
