"""The page of a space file's tables and keys, from the dataclasses that read them."""

import json
from dataclasses import fields
from typing import Any

from sweeper.config import MODEL_FAMILIES, CustomConfig, Protocol, TrainConfig
from sweeper.config.models import ModelConfig
from sweeper.config.training import AugmentConfig
from sweeper.spaces.parameter_reader import KEYS, OF_CHOICES, OF_RANGES
from sweeper.spaces.reader import HEADER, TABLES
from sweeper.spaces.reported import METRICS, SHARES, SPLITS
from sweeper.spaces.variants import OWN_KEYS
from tests.docs.reference.tables import code, table

HEADINGS = ("field", "default", "rule: must be", "unit", "meaning")

PAGE = """# Space file

A space file is a TOML file with the tables {tables}.
`sweeper spaces check FILE` names the first mistake by table, key, rule and value; `sweeper spaces show NAME` shows a
space that ships. Unknown tables and keys are refused.

Every field of `[model]` and `[train]` has a fixed value, or is a [parameter](#a-parameter) that a search chooses. A
field that the file does not name has its default. "Per layer" means one value for all layers, or an array with a value
for each; layers and stages count from 1.

## The table space

{space}
## The table protocol

How a trial is scored. These fields have one value for the whole space.

{protocol}
## The table model

{families}
## The table train

How a network is trained; the number of epochs stands in `[protocol]`.

{train}
### Augmentation

Fields of `[train]`, too. Augmentation is drawn anew for each training image in each epoch; names and meanings are those
of torchvision's transforms, and the defaults change nothing.

{augment}
## A parameter

A parameter is a table in place of a value: `lr = {{ low = 1e-4, high = 3e-1, log = true }}`. It has {choices}, or
{ranges}; each may have `when`.

{parameter}
## A variant

`[variants.NAME]` is a configuration of its own, which need not be a point of the space. `[variants.baseline]` is
required: it is trial 0. A variant may set every field of `[model]` and `[train]` to a value, the field `epochs`, and

{variant}
### Reported metrics

An entry of `reported` has the `split` that it was measured on, {splits}, and some of
these metrics. They stand beside the measured ones in the table of `sweeper search --variants-only`.

{reported}"""


def page() -> str:
    return PAGE.format(
        tables=_and([f"`[{name}]`" for name in TABLES]),
        space=table(("key", "meaning"), [(code(key), meaning) for key, meaning in HEADER.items()]),
        protocol=_fields(Protocol),
        families="\n".join(_family(name, kind) for name, kind in {**MODEL_FAMILIES, "custom": CustomConfig}.items()),
        train=_fields(TrainConfig, without=AugmentConfig),
        augment=_fields(AugmentConfig),
        choices=_and([code(key) for key in OF_CHOICES if key != "type"]),
        ranges=_and([code(key) for key in OF_RANGES if key != "type"]),
        parameter=table(("key", "meaning"), [(code(key), meaning) for key, meaning in KEYS.items()]),
        variant=table(("key", "meaning"), [(code(key), meaning) for key, meaning in OWN_KEYS.items()]),
        splits=_and([code(split) for split in SPLITS], "or"),
        reported=table(
            ("metric", "rule: must be", "meaning"),
            [(code(name), _bound(name), meaning) for name, meaning in METRICS.items()],
        ),
    )


def _family(name: str, kind: type[ModelConfig]) -> str:
    # The first line of the class's documentation, without its end.
    summary = (kind.__doc__ or "").strip().partition("\n")[0]
    return f'### family = "{name}"\n\n{summary}\n\n{_fields(kind)}'


def _fields(kind: type, without: type | None = None) -> str:
    left_out = {f.name for f in fields(without)} if without else set()  # type: ignore[arg-type]
    rows = []
    for f in fields(kind):  # type: ignore[arg-type]
        if f.name not in left_out:
            rule, unit = f.metadata["rule"].text, f.metadata["unit"]
            rows.append((code(f.name), code(_toml(f.default)), rule, unit, f.metadata["meaning"]))
    return table(HEADINGS, rows)


def _toml(value: Any) -> str:
    return json.dumps(value)


def _bound(name: str) -> str:
    return "in [0, 1]" if name in SHARES else "at least 0"


def _and(words: list[str], last: str = "and") -> str:
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else words[0]
