"""The page of the terms, each with its one meaning: those of a report, and those of the other pages."""

from sweeper.report.glossary import WORDS
from tests.docs.reference.tables import table

TERMS = {
    "ablation": "sets each choice of a champion back to the baseline's, and trains it again with fresh seeds",
    "alias": "a name of one version of a registered model, which can move to another version: champion, challenger",
    "confirm part": "the confirm images; a part of the training set that no choice uses",
    "configuration": "one network with its training: a value for every field",
    "engine": "what starts the trainings: processes on this machine, this process itself, or a Ray cluster",
    "fold": "one of K parts of the training images, each of which is once the validation part",
    "infeasible": "a trial that could not win: over a limit, impossible for the images, diverged, or out of memory",
    "interrupted": "a started trial that no search trains now; the command that resumes the study continues it",
    "parameter": "a field that the search chooses; also a weight of a network, where numbers of parameters are given",
    "protocol": "how a trial is scored: epochs, sizes of the parts, folds, repeats, scaling of pixels, test flip",
    "pruned": "ended early, because other trials were better after as many epochs, or because its time was up",
    "registered model": "a trained network in MLflow's model registry, with versions; sweeper-STUDY",
    "repeat": "one of several trainings of a configuration, each with a seed of its own",
    "run": "what MLflow keeps of one training, study, promotion, evaluation or data set",
    "rung": "an epoch at which halving compares trials and prunes: 1, 3, 9, ...",
    "score": "the metric by which the search ranks a trial: that of the last epoch on the validation images, or with "
    "folds or repeats its mean",
    "split": "how the data set is cut into parts, or one of the parts: train, validation, confirm, test",
    "study": "a search with all its trials, named after its data set and its space",
    "sweep": "a running search or promotion, with its workers",
    "trial": "one configuration of the space with its trainings: one, or one for each fold and repeat",
    "variant": "a named configuration in a space file, to compare with",
    "verdict": "the sentences that a promotion ends with: which network to use, and what the numbers support",
    "worker": "trains one trial at a time: a process, or one of several in a process that share a GPU (--jobs-per-gpu)",
}

PAGE = """# Glossary

{terms}"""


def page() -> str:
    both = {**WORDS, **TERMS}
    return PAGE.format(terms=table(("term", "meaning"), [(term, both[term]) for term in sorted(both)]))
