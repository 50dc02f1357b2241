"""Which parameters mattered for a study's scores, and how much importance chance alone would show."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from sweeper.events import State
from sweeper.quantities import counted
from sweeper.studies.attributes import spec_of
from sweeper.studies.objective import LABELS
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord

EVALUATOR = "stepwise analysis of variance of ranks (Kruskal-Wallis)"
# Numbers of more values than this are cut into groups of equally many trials: four, so that a best value in the middle
# or at an end shows, and that 40 trials leave ten in a group.
MOST_VALUES, N_GROUPS = 6, 4
# A parameter without effect is above all shuffles once in 201 studies, so that one of ten is once in twenty.
N_SHUFFLES = 200
# With fewer trials, a parameter that would explain 0.6 of the variation of random configurations is mostly not told
# from chance: found in 25 % of 24 simulated studies of 20 trials, 29 % at 30, 58 % at 40, 62 % at 50 and 75 % at 100,
# while some parameter without effect was above chance in 4 to 12 % (benchmarks/importance.py). PED-ANOVA, Optuna's
# default, found it in one of six studies of 50 trials, and forests of trees in a quarter.
LEAST_TRIALS = 40

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Importance:
    """How much of the variation of a study's scores each parameter explains, beside what chance alone explains.

    `shares` are of all variation, which is 1, by parameter, the largest first; what the parameters above chance before
    it explain counts for none of the others. `null_low` and `null_high` are the least and the largest share of the same
    parameter on `n_shuffles` shuffles; a share is `above_chance` if it is larger than all of them. `scores` says in
    words which scores of the trials the shares are of, and `caution` what those cannot tell. `conditional` has, for
    each parameter that only some trials have, what was done about it. Without importances, `refused` is a sentence with
    the reason.
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
        return f"{self.scores}, {counted(self.n_trials, 'trial')}"

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
            conditional[name] = f"left out, because {only}, and {LEAST_TRIALS} are needed"
            continue
        conditional[name] = f"{only}: its share is of these trials' scores"
        having = [points[index] for index in those]
        found[name] = importances(having, [*common, name], ranks_of(ranks[those]), n_shuffles, seed)[name]
    if not found:
        return replace(nothing, conditional=conditional, refused="No parameter is searched in enough trials.")
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

    `points` are the trials' values by parameter; each has all `names`. The share is eta squared, H / (n - 1) for the H
    of Kruskal and Wallis (1952), Use of ranks in one-criterion variance analysis, J. Am. Stat. Assoc. 47, 583-621. The
    parameter with the largest share above chance comes first; of the others only what they explain of the rest counts,
    still as a share of all variation, and so on, with the rest shuffled (Freedman and Lane, 1983). Otherwise a
    parameter without effect would be found for going along with one that has an effect: a sampler proposes the values
    of both together more and more often.
    """
    rng = np.random.default_rng(seed)
    shuffles = [rng.permutation(len(ranks)) for _ in range(n_shuffles)]
    members = {name: _groups([point[name] for point in points]) for name in names}
    left = ranks - ranks.mean()
    total, known = (left**2).sum(), np.ones((1, len(ranks)))
    found: dict[str, tuple[float, float, float]] = {}
    while len(found) < len(names):
        columns = np.stack([left, *(left[order] for order in shuffles)], axis=1)
        judged = {name: _judged(members[name], columns, total) for name in names if name not in found}
        above = [name for name, (share, _, high) in judged.items() if share > high]
        if not above:
            return found | judged
        first = max(above, key=lambda name: judged[name][0])
        found[first] = judged[first]
        known = np.concatenate([known, members[first], _curve([point[first] for point in points])])
        left = ranks - known.T @ np.linalg.lstsq(known.T, ranks, rcond=None)[0]
    return found


def _judged(members: Floats, columns: Floats, total: float) -> tuple[float, float, float]:
    """The share of `total` between the groups for the first column, and the least and largest for the others."""
    sums = members @ columns
    shares = (sums**2 / members.sum(axis=1, keepdims=True)).sum(axis=0) / total
    return float(shares[0]), float(shares[1:].min()), float(shares[1:].max())


def _curve(values: Sequence[Any]) -> Floats:
    """A parabola in the ranks of many different numbers, as two rows: it follows them within their groups."""
    if len(set(map(repr, values))) <= MOST_VALUES or not all(isinstance(value, float | int) for value in values):
        return np.empty((0, len(values)))
    ranks = ranks_of(values) / len(values)
    return np.array([ranks, ranks**2])


def _groups(values: Sequence[Any]) -> Floats:
    """Which trials belong together by a parameter's value: a row of 0 and 1 for each group."""
    texts = np.array([repr(value) for value in values])
    labels = texts
    if len(set(texts)) > MOST_VALUES and all(isinstance(value, float | int) for value in values):
        labels = np.ceil(ranks_of(values) * N_GROUPS / len(values))
    return np.array([labels == label for label in np.unique(labels)], dtype=np.float64)


def ranks_of(values: Any) -> Floats:
    """The ranks of the values, from 1; equal values share their mean rank."""
    from scipy.stats import rankdata

    ranks: Floats = rankdata(values).astype(np.float64)
    return ranks
