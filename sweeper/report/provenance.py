"""Section 7 of a report: how the study was made, and how to repeat it."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from sweeper.promotion.recorded import typed
from sweeper.quantities import counted
from sweeper.report.blocks import Block, Commands, Facts, Heading, Listing, Section, Sentences, Table
from sweeper.report.subject import Subject
from sweeper.report.wording import count, duration
from sweeper.tracking.study_run import StudyRun

# What the search has logged, and the section shows.
SPACE_FILE, ENVIRONMENT = "space.toml", "environment.json"


def section(subject: Subject, run: StudyRun | None, ablation_seeds: int | None = None) -> Section:
    """Commands, versions, hashes, time spent and looks at the test set.

    `run` is the study's, None without one; `ablation_seeds` are those of its ablation, None without one.
    """
    texts = run.texts if run else {}
    environment = _environment(texts.get(ENVIRONMENT, ""))
    spec, spent = subject.spec, _spent(subject)
    commands = _commands(subject, ablation_seeds)
    parts = parts_of(run)
    blocks: list[Block] = [Commands(commands) if commands else Sentences(["The commands were not recorded."])]
    blocks += [
        Heading("What the results depend on", "The same values, device, threads and versions give the same networks."),
        Facts(_facts(subject, parts)),
        Heading("What it took"),
        Facts(
            [
                ("Time of the search", duration(spent["seconds"])),
                ("Time of its trials together", duration(spent["trial_seconds"])),
                ("Epochs of its trials", count(spent["epochs"])),
            ]
        ),
        *_versions(environment),
        *_ledger(subject),
    ]
    if space := texts.get(SPACE_FILE):
        blocks.append(Listing(f"The space file, {spec.space_name}", space))
    if run is None:
        blocks.append(Sentences(["MLflow has no run of this study that could be read: versions are not known."]))
    data = {
        "commands": [command for _, command in commands],
        "spec": spec.as_json(),
        "parts": parts,
        "space_file": texts.get(SPACE_FILE),
        "environment": environment,
        "spent": spent,
        "test_looks": [
            {"time": one.time, "models": dict(one.models), "command": one.command, "complete": one.complete}
            for one in subject.evaluations
        ],
        "run_id": run and run.run_id,
    }
    return Section(
        "How it was made", "All that is needed to repeat this study, and to judge how it was made.", blocks, data
    )


def parts_of(run: StudyRun | None) -> dict[str, int]:
    """The numbers of images of the study's parts, as far as its run has them."""
    return {
        name: int(run.params[f"n_{name}"])
        for name in ("train", "validation", "confirm")
        if run and run.params.get(f"n_{name}", "").isdecimal()
    }


def _commands(subject: Subject, ablation_seeds: int | None) -> list[tuple[str, str]]:
    name, place = shlex.quote(subject.name), subject.options
    lines = []
    if command := subject.status["command"]:
        lines.append(("The search", command))
        if "--new" not in shlex.split(command):
            lines.append(("To repeat it as another study", f"{command} --new"))
    if (outcome := subject.outcome) is not None:
        options = f" {typed(outcome.options)}" if outcome.options else ""
        test = " --test" * bool(subject.evaluations)
        lines.append(
            ("The promotion, with all options that decide its result", f"sweeper promote {name}{options}{test}{place}")
        )
    if ablation_seeds is not None:
        lines.append(("The ablation", f"sweeper ablate {name} --seeds {ablation_seeds}{place}"))
    return [*lines, ("This report", f"sweeper report {name}{place}")]


def _facts(subject: Subject, parts: Mapping[str, int]) -> list[tuple[str, str]]:
    spec, protocol = subject.spec, subject.spec.protocol
    rows = [
        ("Data set", spec.dataset),
        ("SHA-256 of the training files", spec.data_sha256),
        ("SHA-256 of the split", spec.split_sha256),
        ("Images", ", ".join(f"{count(n)} {name}" for name, n in parts.items())),
        ("Subset", "" if spec.subset is None else f"{count(spec.subset)} images"),
        ("Read with", "; ".join(spec.conversions)),
        ("Space", spec.space_name),
        ("Your own network", str(spec.space.get("fixed", {}).get("network", ""))),
        ("SHA-256 of its code", str(spec.space.get("fixed", {}).get("code_sha256", ""))),
        ("Precision", spec.precision_rule),
        ("Metric", spec.metric),
        ("Epochs", str(protocol.epochs)),
        ("Folds", str(protocol.folds or "")),
        ("Repeats", str(protocol.repeats) if protocol.repeats > 1 else ""),
        ("Test flip", "mean of the outputs for an image and its mirror image" if protocol.test_flip else ""),
        ("Sampler and pruner", f"{spec.sampler}, {spec.pruner}"),
        ("Seed", str(spec.seed)),
        ("Seed of the split", str(spec.seed_of_splits)),
        ("Device", f"{spec.device}, {counted(spec.threads, 'thread')} a training, {spec.layout}"),
    ]
    return [(name, value) for name, value in rows if value]


def _spent(subject: Subject) -> dict[str, Any]:
    return {
        "seconds": float(subject.study.user_attrs.get("seconds", 0.0)),
        "trial_seconds": sum(trial.seconds for trial in subject.trials),
        "epochs": sum(trial.epochs for trial in subject.trials),
    }


def _environment(text: str) -> Mapping[str, Any]:
    """What the search logged of its machine; empty if it logged nothing that can be read."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _versions(environment: Mapping[str, Any]) -> list[Block]:
    packages = environment.get("packages")
    if not isinstance(packages, dict):
        return []
    rows = [(str(name), str(version)) for name, version in packages.items()]
    rows += [
        (name, str(environment[key]))
        for key, name in (("python", "Python"), ("platform", "System"))
        if key in environment
    ]
    return [Heading("Versions with which the search was last started"), Facts(rows)]


def _ledger(subject: Subject) -> list[Block]:
    heading = Heading(
        "Looks at the test set", "Only the first look is unbiased: choices after it may follow its result."
    )
    if subject.unread:
        return [heading, Sentences([f"They cannot be read: {subject.unread}"])]
    if not subject.evaluations:
        return [heading, Sentences(["None by this study."])]
    rows = [
        [
            str(place),
            one.time[:19].replace("T", " "),
            ", ".join(f"{role} {model}" for role, model in one.models.items()),
            "complete" if one.complete else "begun",
            one.command,
        ]
        for place, one in enumerate(subject.evaluations, start=1)
    ]
    return [heading, Table("By this study", ["look", "time (UTC)", "models", "state", "command as typed"], rows, (0,))]
