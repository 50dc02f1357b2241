"""Section 1 of a report, the answer: which network, how sure, and at what size; or the ranking and what is next."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.evaluation.amounts import confusion, with_interval
from sweeper.models.latency import DESCRIBED, milliseconds
from sweeper.promotion import cost
from sweeper.promotion.options import PromotionOptions
from sweeper.promotion.outcome import Entrant, PromotionOutcome
from sweeper.quantities import counted
from sweeper.report import finalists, usage
from sweeper.report.blocks import Block, Commands, Facts, Heading, Section, Sentences, Table
from sweeper.report.glossary import glossary
from sweeper.report.subject import Subject
from sweeper.report.wording import count, score, setting, settings
from sweeper.studies import trial_records
from sweeper.studies.baseline import differences
from sweeper.studies.findings import constant_of, reference
from sweeper.studies.network_input import NetworkInput
from sweeper.studies.objective import LABELS
from sweeper.studies.queries import trial_as_dict
from sweeper.studies.trial_records import TrialRecord

TITLE = "The answer"
# So many trials of a ranking are shown here; the table of the trials has all.
MOST_RANKED = 15
# The metrics of a test, in the order in which they are shown.
TEST_METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "loss": "loss",
}


def section(
    subject: Subject,
    networks: NetworkInput | None,
    workers: int,
    classes: Sequence[str] = (),
    parts: Mapping[str, int] | None = None,
) -> Section:
    """The champion with what is known of it, or without a promotion the ranking and what one with `workers` costs.

    `classes` and `parts`, the numbers of images by part, are empty if they are not known.
    """
    if subject.outcome is None:
        return _unpromoted(subject, workers)
    return _promoted(subject, subject.outcome, networks, classes, parts or {})


def _promoted(
    subject: Subject,
    outcome: PromotionOutcome,
    networks: NetworkInput | None,
    classes: Sequence[str],
    parts: Mapping[str, int],
) -> Section:
    metric, champion = outcome.metric, outcome.entrants[0]
    latencies = {entrant.trial: _milliseconds(subject, entrant, networks) for entrant in outcome.entrants}
    blocks: list[Block] = [
        Sentences([outcome.plain_sentence], lead=True),
        Facts(_facts(outcome, champion, latencies[champion.trial], test_flip=subject.spec.protocol.test_flip)),
        *usage.how_to_use(subject, outcome, networks, classes),
        *finalists.to_quote(outcome, parts),
        *finalists.finalists(outcome, latencies),
        Heading(
            "How the champion differs from the baseline",
            "Each row is a choice of the search; the ablation in section 3, if there is one, says which of them is "
            "worth it.",
        ),
        *_differences(subject, champion),
        *usage.configuration(subject, champion),
        Heading(
            "The verdict",
            "Intervals are 95 % unless another level is given. Undecided means that the difference may be chance.",
        ),
        Sentences(outcome.sentences),
    ]
    if any(entrant.test for entrant in outcome.entrants):
        blocks += _tested(outcome)
    blocks.append(glossary())
    data = {
        "promoted": True,
        "metric": metric,
        "promotion": outcome.summary(),
        "differences": _changed(subject, champion),
        "milliseconds": latencies[champion.trial],
        "model": outcome.model,
        "classes": list(classes),
    }
    return Section(TITLE, "Which network to use, how good it is on new images, and how sure that is.", blocks, data)


def _facts(
    outcome: PromotionOutcome, champion: Entrant, latency: float | None, *, test_flip: bool
) -> list[tuple[str, str]]:
    version = f"{outcome.model_name}, version {champion.version}"
    if outcome.registered_champion == champion.version:
        version += ", the registered champion"
    rows = [("Champion", f"trial {champion.trial}" + " (the baseline)" * champion.is_baseline), ("Model", version)]
    measured = _measured(outcome.metric, champion)
    if "test" not in measured:
        rows.append(("Test images", "not looked at with this champion"))
    rows += [(f"{name[0].upper()}{name[1:]}", value) for name, value in measured.values()]
    baseline = next((entrant for entrant in outcome.entrants[1:] if entrant.is_baseline), None)
    beside = {} if baseline is None else _measured(outcome.metric, baseline)
    # On the test images if both were tested, else on the confirm images.
    if part := next((part for part in measured if part in beside), None):
        name, value = beside[part]
        rows.append((f"The baseline's {name}", value))
    rows.append(("Parameters", count(champion.n_parameters)))
    passes = "; a prediction takes two such passes (test flip)" * test_flip
    rows.append(("Multiply-adds an image", count(champion.n_multiply_adds) + passes))
    if latency is not None:
        rows.append((f"Latency, {DESCRIBED}", f"{latency:.2f} ms{passes}"))
    return rows


def _measured(metric: str, entrant: Entrant) -> dict[str, tuple[str, str]]:
    """An entrant's scores by part, test before confirm: name and value, in words."""
    found, confirm = {}, entrant.confirm
    if entrant.test and metric in entrant.test:
        value = with_interval(metric, entrant.test[metric], *finalists.test_bounds(metric, entrant.test))
        found["test"] = (f"{LABELS[metric]} on {counted(entrant.test['n'], 'test image')}", value)
    if estimate := with_interval(metric, confirm[metric], confirm["low"], confirm["high"], 1):
        found["confirm"] = (f"{LABELS[metric]} on confirm images", estimate)
    return found


def _milliseconds(subject: Subject, entrant: Entrant, networks: NetworkInput | None) -> float | None:
    """How long the entrant takes on this machine; None if the study does not say what its networks take."""
    trial = subject.trial(entrant.trial)
    if networks is None or trial is None or trial.configuration is None:
        return None
    return milliseconds(trial.configuration.model, networks.input_shape, networks.n_classes)


def _changed(subject: Subject, champion: Entrant) -> list[dict[str, Any]]:
    """The fields in which the champion's configuration differs from the baseline's, as far as they apply."""
    trial = subject.trial(champion.trial)
    differing = differences(subject.spec, trial) if trial else {}
    baseline = subject.baseline
    return [{"parameter": name, "champion": value, "baseline": baseline.get(name)} for name, value in differing.items()]


def _differences(subject: Subject, champion: Entrant) -> list[Block]:
    changed = _changed(subject, champion)
    if not changed:
        return [Sentences(["Nothing: its configuration is the baseline's."])]
    rows = [[one["parameter"], setting(one["champion"]), setting(one["baseline"])] for one in changed]
    return [Table("Parameters of the champion that differ", ["parameter", "champion", "baseline"], rows)]


def _tested(outcome: PromotionOutcome) -> list[Block]:
    tested = [(entrant.name, entrant.test) for entrant in outcome.entrants if entrant.test is not None]
    known = [name for name in TEST_METRICS if any(name in found for _, found in tested)]
    # Where all classes have equally many images, some metrics are the accuracy.
    equal = [n for n in known[1:] if all(abs(found.get(n, -1) - found["accuracy"]) < 1e-9 for _, found in tested)]
    rows = [
        [TEST_METRICS[name], *(with_interval(name, found.get(name), *_bounds_of(name, found)) for _, found in tested)]
        for name in known
        if name not in equal
    ]
    same = (
        f"; {' and '.join(TEST_METRICS[n] for n in equal)} {'equals' if len(equal) == 1 else 'equal'} the accuracy"
        if equal
        else ""
    )
    confused = [
        f"Largest confusions of {name}: " + ", ".join(confusion(*one) for one in found["confusions"]) + "."
        for name, found in tested
        if found["confusions"]
    ]
    return [
        Heading("On the test images", _looks(outcome)),
        Table(
            f"Metrics of the refitted networks on {counted(tested[0][1]['n'], 'test image')}{same}",
            ["metric", *(name for name, _ in tested)],
            rows,
            range(1, len(tested) + 1),
        ),
        Sentences(confused),
    ]


def _looks(outcome: PromotionOutcome) -> str:
    """How often these test images were looked at, and what that means."""
    by_study, by_store = outcome.evaluations
    if by_study == by_store == 1:
        return "This is the first and only look at the test images in this store: no choice has followed it."
    return (
        f"Looks at these test images so far: {by_study} by this study, {by_store} in this store. Only a first look is "
        "unbiased: later choices may follow its result."
    )


def _bounds_of(name: str, tested: Mapping[str, Any]) -> tuple[float | None, float | None]:
    if name == "accuracy" or name == tested.get("metric"):
        return finalists.test_bounds(name, tested)
    return None, None


def _unpromoted(subject: Subject, workers: int) -> Section:
    metric = subject.spec.metric
    ranked, best = trial_records.ranking(subject.trials, metric), trial_records.best(subject.trials, metric)
    blocks: list[Block] = [Sentences([_lead(subject, best)], lead=True)]
    if subject.unread:
        blocks.append(Sentences([f"Whether this study was promoted cannot be told: {subject.unread}"]))
    said = [*subject.status["findings"], reference(metric, constant_of(subject.study))]
    blocks.append(Sentences([sentence for sentence in said if sentence]))
    if ranked:
        left = len(ranked) - MOST_RANKED
        blocks += [
            Heading(
                "The ranking",
                "The best come first, by their last epoch's score on the validation images. Differences below the "
                "spread between seeds may be chance." + f" The best {MOST_RANKED} of {len(ranked)}." * (left > 0),
            ),
            _ranking(subject, ranked[:MOST_RANKED]),
        ]
    if best is not None and not subject.is_running:
        blocks += [Heading("What a promotion would do"), *_next(subject, workers)]
    data = {
        "promoted": None if subject.unread else False,
        "metric": metric,
        "ranking": [trial_as_dict(trial) for trial in ranked],
        "findings": list(subject.status["findings"]),
    }
    return Section(
        TITLE, "Which trial leads the search. None of its scores has been confirmed on fresh images yet.", blocks, data
    )


def _next(subject: Subject, workers: int) -> list[Block]:
    """The promotion that would answer the question, and how long it takes on this machine."""
    top, seeds = PromotionOptions.top, PromotionOptions.seeds
    took = cost.of_promotion(subject.spec, subject.trials, top=top, seeds=seeds, workers=workers)
    promote = f"sweeper promote {shlex.quote(subject.name)} --top {top}{subject.options}"
    return [
        Sentences(
            [
                f"It retrains the best {top} and the baseline with fresh seeds, compares them on confirm images, if "
                f"there are some, and registers a champion. It would take {cost.in_words(took)} with "
                f"{counted(workers, 'worker')}."
            ]
        ),
        Commands([("To promote", promote)]),
    ]


def _lead(subject: Subject, best: TrialRecord | None) -> str:
    metric = subject.spec.metric
    if best is None:
        if subject.is_running:
            return "No trial has completed yet: the search is running."
        return "No trial has completed, so there is no network to use."
    n_complete = sum(trial.state == "complete" for trial in subject.trials)
    so_far = "So far, the" if subject.is_running else "The"
    lead = f"{so_far} best of {n_complete} complete trials is {best.name}: {LABELS[metric]} {score(metric, best.value)}"
    if n_complete == 1:
        lead = f"One trial has completed, {best.name}: {LABELS[metric]} {score(metric, best.value)}"
    return (
        f"{lead} on validation images. It was not confirmed: the score of the best of many trials is too high, and "
        "only a promotion says by how much."
    )


def _ranking(subject: Subject, ranked: list[TrialRecord]) -> Table:
    metric, rows = subject.spec.metric, []
    for rank, trial in enumerate(ranked, start=1):
        rows.append(
            [
                str(rank) if trial.feasible else f"{rank} (cannot win)",
                trial.name.removeprefix("trial "),
                score(metric, trial.value, 2) + " (constant)" * bool(trial.constant),
                count(trial.n_parameters),
                settings(differences(subject.spec, trial)),
            ]
        )
    columns = ["rank", "trial", f"validation {LABELS[metric]}", "parameters", "differs from the baseline in"]
    return Table(f"Ranking by validation {LABELS[metric]}", columns, rows, (0, 2, 3))
