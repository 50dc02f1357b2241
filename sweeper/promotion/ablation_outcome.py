"""The outcome of an ablation (which of the champion's choices are worth it), as plain data and in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from sweeper.errors import joined
from sweeper.evaluation.amounts import number, signed, unit
from sweeper.plots import Plot
from sweeper.promotion.comparisons import Comparison
from sweeper.promotion.set_back import in_words
from sweeper.promotion.verdict import interval
from sweeper.quantities import counted
from sweeper.store.stored_values import check_printable, checked, from_text
from sweeper.studies.objective import LABELS, METRICS, direction

# What is found of a choice. A choice without which a training diverged is needed; one that could not be set back is
# untried.
Verdict = Literal["worth it", "harmful", "undecided", "needed", "untried"]
WORTH, HARMFUL, UNDECIDED, NEEDED, UNTRIED = get_args(Verdict)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One of the champion's choices, and how the champion compares with itself without it.

    `parameter` is the field of the choice, or several with commas between them if it cannot be set back without the
    others; their values are then objects by field. `along` has the champion's and the baseline's value of each field
    that has a meaning only with one of the two values. `value` is the metric of the champion with this choice set back,
    `difference` the champion's metric minus it, with the interval at `level`, the p-values and what is `decided` as in
    Comparison. All are None for a choice that is needed or untried.
    """

    parameter: str
    champion_value: Any
    baseline_value: Any
    along: Mapping[str, Sequence[Any]]
    n_parameters: int | None
    value: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    decided: bool = False
    detectable: float | None = None
    verdict: Verdict
    sentence: str

    @property
    def change(self) -> str:
        """The choice and its two values, in words."""
        return in_words(self.values)

    @property
    def values(self) -> dict[str, Sequence[Any]]:
        """The champion's and the baseline's value of each field that was set back."""
        ours, theirs = self.champion_value, self.baseline_value
        own = {name: (ours[name], theirs[name]) for name in ours} if isinstance(ours, Mapping) else None
        return (own or {self.parameter: (ours, theirs)}) | dict(self.along)


@dataclass(frozen=True, kw_only=True)
class AblationOutcome:
    """What an ablation has found, in the `metric` of the study.

    `trial` is the champion's, `value` with `low` and `high` its estimate over the same seeds and images. `part` is the
    one on which all was measured, confirm or validation, with `n_images` images. `seeds` are the numbers of the fresh
    seeds. `rows` are the choices in which champion and baseline differ, the most valuable first. `sentence` sums them
    up; `notes` say how the differences are meant. `time` is in UTC (ISO 8601). `undelivered` says why MLflow did not
    accept writes.
    """

    study: str
    metric: str
    trial: int
    part: str
    n_images: int
    seeds: Sequence[int]
    value: float | None
    low: float | None
    high: float | None
    n_parameters: int | None
    rows: Sequence[Row]
    sentence: str
    notes: Sequence[str]
    time: str
    undelivered: Sequence[str] = ()

    @property
    def n_seeds(self) -> int:
        """With how many fresh seeds each configuration was trained."""
        return len(self.seeds)

    def as_json(self) -> dict[str, Any]:
        """The object that `sweeper ablate --json` prints, and that is recorded."""
        found = asdict(self)
        del found["undelivered"]
        return {"schema_version": 1, **found, "n_seeds": self.n_seeds}

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The outcome that was recorded. Raises one of storage_errors.UNREADABLE for what sweeper has not written."""
        found = from_text(dict[str, Any], text, "ablation")
        check_printable(found)
        known = {name: value for name, value in found.items() if name not in ("schema_version", "n_seeds")}
        outcome: Self = checked(cls, known, "ablation")
        if outcome.metric not in METRICS:
            raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {outcome.metric!r}")
        if not outcome.seeds:
            raise ValueError("an ablation must have at least one seed, got none")
        return outcome


def plot_of(outcome: AblationOutcome) -> Plot:
    """The differences with their intervals."""
    rows = [
        {
            "change": row.change,
            "difference": row.difference,
            "low": row.low,
            "high": row.high,
            "verdict": row.verdict,
        }
        for row in outcome.rows
    ]
    measured = f"{counted(outcome.n_seeds, 'seed')}, {outcome.part} images"
    title = f"What each choice of trial {outcome.trial} is worth ({measured})"
    return Plot("ablation", {"rows": rows, "metric": outcome.metric, "title": title})


def verdict_of(comparison: Comparison) -> Verdict:
    """What a comparison of the champion with itself without a choice says of the choice."""
    if not comparison.decided:
        return UNDECIDED
    return WORTH if comparison.champion_leads else HARMFUL


def sentence_of(change: str, comparison: Comparison, n_seeds: int) -> str:
    """What the comparison says of the choice, with the difference and its interval."""
    metric = comparison.metric
    head = f"{change}: {signed(metric, comparison.difference)}"
    if comparison.low is None or comparison.high is None:
        why = "one seed gives no interval" if n_seeds == 1 else "there is no interval"
        return f"{head} {unit(metric)}: undecided, because {why}."
    head = f"{head} {unit(metric)} {interval(comparison, 1)}"
    match verdict_of(comparison):
        case "worth it":
            return f"{head}: worth it."
        case "harmful":
            return f"{head}: harmful, the baseline's value is better."
    seen = comparison.detectable
    could = ""
    if seen is not None:
        could = (
            f"; a true difference of {number(metric, seen, 1)} {unit(metric)} is detected in four of five ablations."
        )
    return f"{head}: undecided, {advice(comparison.difference, metric)}{could}"


def advice(difference: float | None, metric: str) -> str:
    """What to ask oneself about an undecided choice: one that seems to help may need more seeds to show it."""
    helps = difference is not None and difference != 0 and (difference < 0) == (direction(metric) == "minimize")
    return "more --seeds?" if helps else "leave it out?"


def summed_up(trial: int, rows: Sequence[Row]) -> str:
    """All choices by what was found of them, in one sentence."""
    by_verdict = {
        WORTH: "worth it", HARMFUL: "harmful", NEEDED: "needed to train at all", UNDECIDED: "undecided",
        UNTRIED: "not tried",
    }  # fmt: skip
    found = [
        f"{len(names)} {words} ({joined(names)})"
        for verdict, words in by_verdict.items()
        if (names := [row.parameter for row in rows if row.verdict == verdict])
    ]
    choices = counted(len(rows), "choice")
    return f"Of the {choices} in which trial {trial} differs from the baseline: {'; '.join(found)}."


def notes_on(metric: str, part: str, n_images: int, n_seeds: int, trained_share: float) -> list[str]:
    """How the differences are meant."""
    seeds = "one fresh seed" if n_seeds == 1 else f"{n_seeds} fresh seeds"
    better = " Of the loss, less is better." if metric == "loss" else ""
    said = [
        f"Each difference is the champion's {LABELS[metric]} minus that of the champion with this one choice set back "
        f"to the baseline's, over {seeds} and {counted(n_images, f'{part} image')}; both were trained on "
        f"{100 * trained_share:.0f} % of the training images.{better}",
        "Intervals and p-values are adjusted by Holm's method over these choices. Choices were set back one at a time: "
        "with two of them set back, the network may be worse although both are undecided.",
    ]
    if part == "confirm":
        return [
            *said,
            "Neither the champion nor its choices were selected by these images and seeds. Whoever leaves a choice out "
            "because of this ablation selects by them: the estimate of that network needs other images.",
        ]
    return [
        *said,
        "This study has no confirm part: the search and the promotion chose the champion by the same validation "
        "images, so its choices seem worth more than they are.",
    ]
