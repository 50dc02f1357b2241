"""Whatever stands in a space file: a space, or one line that names the file; no hang, no absurd allocation."""

import copy
import json
import math
import tomllib
from datetime import date, datetime, time
from itertools import islice

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from sweeper.cli import main
from sweeper.config import MODEL_FAMILIES, ConvNetConfig, Protocol, TrainConfig
from sweeper.errors import UsageError
from sweeper.spaces import reader
from tests.hostile import document, error_line, examples, within
from tests.spaces.test_reader import EXAMPLE

VALID = tomllib.loads(EXAMPLE)
KEYS = sorted(
    {name for kind in (*MODEL_FAMILIES.values(), TrainConfig, Protocol) for name in kind.__dataclass_fields__}
    | {"title", "datasets", "space", "protocol", "model", "train", "variants", "baseline", "extends", "reported"}
    | {"choices", "low", "high", "log", "step", "type", "when", "split"}
)
OF_TABLE = {
    name: list(kind.__dataclass_fields__)
    for name, kind in (("model", ConvNetConfig), ("train", TrainConfig), ("protocol", Protocol))
}

keys = st.sampled_from(KEYS) | st.text(max_size=8) | st.sampled_from(["", " ", "\x00", "a\nb", "\x1b[2J", "x" * 5000])
extremes = st.sampled_from(
    [0, 1, -1, 2, 3, 5, 28, 10**4, 2**31 - 1, 2**31, 10**9, 10**12, 2**63 - 1, 2**63, -(2**63) - 1, 10**400]
) | st.sampled_from([0.0, -0.0, 0.1, 0.5, 0.999, 1.0, 1.5, 1e-99, 5e-324, 1.7e308, math.inf, -math.inf, math.nan])
words = st.sampled_from(
    [
        *KEYS,
        "same",
        "sgd",
        "adam",
        "relu",
        "max",
        "mnist",
        "convnet",
        "mlp",
        "timm",
        "resnet18",
        "conv1",
        "pool2",
        "int",
    ]
)
dates = st.sampled_from([date(1999, 1, 1), datetime(1999, 1, 1, 12), time(1, 2)])
numbers = st.integers(-1, 40) | st.floats(0, 1) | extremes
leaves = numbers | words | st.text(max_size=8) | st.booleans() | dates
long_lists = st.builds(lambda value, n: [value] * n, leaves, st.sampled_from([30, 300]))
values = st.recursive(
    leaves | long_lists,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
conditions = st.dictionaries(st.sampled_from(KEYS), leaves, max_size=3)
ranges = st.fixed_dictionaries(
    {"low": numbers, "high": numbers},
    optional={"log": st.booleans(), "step": numbers, "type": words, "when": conditions},
)
choices = st.fixed_dictionaries(
    {"choices": st.lists(leaves | st.lists(numbers, max_size=4), max_size=5)}, optional={"when": conditions}
)
anything = values | ranges | choices


@st.composite
def spoilt_spaces(draw):
    """A valid space file after a few changes of its structure, and perhaps of its text."""
    tables = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 3))):
        parent = tables
        while True:
            inner = [value for value in parent.values() if isinstance(value, dict)]
            if not inner or draw(st.integers(0, 3)) == 0:
                break
            parent = draw(st.sampled_from(inner))
        present = sorted(parent)
        change = draw(st.sampled_from(["add", "add", "replace", "replace", "drop", "rename"])) if present else "add"
        if change == "add":
            known = next((OF_TABLE[name] for name in OF_TABLE if parent is tables.get(name)), KEYS)
            parent[draw(st.sampled_from(known) | st.sampled_from(known) | keys)] = draw(anything)
            continue
        key = draw(st.sampled_from(present))
        if change == "replace":
            parent[key] = draw(anything)
        else:
            value = parent.pop(key)
            if change == "rename":
                parent[draw(keys)] = value
    text = document(tables)
    if draw(st.integers(0, 4)) == 0:
        lines = text.splitlines(keepends=True)
        place = draw(st.integers(0, len(lines)))
        text = "".join([*lines[:place], draw(st.sampled_from(lines) | st.text(max_size=20)), *lines[place:]])
    return text


def assert_is_space_or_one_line(text):
    with within():
        try:
            space = reader.parse(text, name="mine", file="mine.toml")
        except UsageError as error:
            message = str(error)
            assert "(mine.toml" in message
            assert message.isprintable()
            assert len(message) < 1000
            return
        # What loads can be told, recorded and drawn from.
        json.dumps(space.describe(), allow_nan=False)
        for variant in space.variants.values():
            space.point(variant.configuration)
        if all(parameter.n_values is not None for parameter in space.parameters.values()):
            assert list(islice(space.grid(), 3))


def test_unspoilt_space_survives_the_way_that_spoilt_ones_are_written():
    assert reader.parse(document(VALID), name="mine", file="mine.toml").describe() == (
        reader.parse(EXAMPLE, name="mine", file="mine.toml").describe()
    )


@examples(800)
@given(spoilt_spaces())
def test_spoilt_space_is_loaded_or_refused_in_one_line(text):
    assert_is_space_or_one_line(text)


@examples(500)
@given(st.text() | st.text(alphabet="[]{}=\"'\\.,#\n ab1-_") | st.builds("{} = {}\n".format, keys, values))
@example("\x00")
@example("a" * 100_000)
@example("'" * 100_000)
@example('\\"' * 100_000)
@example(".".join(["a"] * 100_000) + " = 1")
@example(".".join(['"a"'] * 100_000) + " = 1")
@example("a = {" * 5000)
@example("a = " + "[" * 100_000)
@example("[[model]]\n" * 20_000)
@example("".join(f"[t{n}]\n" for n in range(20_000)))
def test_text_is_loaded_or_refused_in_one_line(text):
    assert_is_space_or_one_line(text)


@pytest.mark.parametrize(
    "model",
    [
        "filters = [1000000000]",
        "filters = [2147483647, 2147483647, 2147483647]",
        "kernel_size = 1000000000000",
        "input_padding = 2147483647",
        f"filters = {[1] * 130_000}\nkernel_size = 1\npadding = 0\npool_after = {list(range(70_000, 130_000))}",
        f"pool_after = []\nkernel_size = 1\nfilters = {{ choices = {[[1] * (2000 + n) for n in range(90)]} }}\n"
        f"hidden = {{ choices = {[[n + 1] for n in range(200)]} }}",
        f"hidden = {{ choices = {[[n + 1] for n in range(60_000)]} }}",
        f"hidden = {{ choices = {[[n] for n in range(1, 15_000)]} }}",
        f"pool_after = {{ choices = {[[n] for n in range(1, 60_000)]} }}",
        "kernel_size = { low = 1, high = 2147483647 }\ninput_padding = { low = 0, high = 2147483647 }",
    ],
)
def test_absurd_network_is_arithmetic_only(model):
    assert_is_space_or_one_line(
        f'[space]\ndatasets = ["mnist"]\n[model]\n{model}\n[variants.baseline]\nfilters = [6]\npool_after = [1]\n'
    )


def test_hundred_thousand_choices_are_compared_in_no_time():
    rates = ", ".join(f"{n}e-9" for n in range(1, 90_001))
    text = f"[train]\nlr = {{ choices = [{rates}] }}\n[variants.baseline]\n"
    assert_is_space_or_one_line(text)
    with pytest.raises(UsageError, match=r"lr\.choices must differ, got 1e-09 twice"):
        reader.parse(text.replace("90000e-9", "1e-9"), name="mine", file="mine.toml")


def test_long_chain_of_variants_is_followed_once():
    links = [f'[variants.v{n}]\nextends = "v{n + 1}"\nbatch_size = {n + 100}\n' for n in range(3000)]
    assert_is_space_or_one_line("".join(links) + "[variants.v3000]\nlr = 0.5\n[variants.baseline]\n")
    with within(), pytest.raises(UsageError, match="extends goes round in a circle: v0 -> v1 -> "):
        reader.parse(
            "".join(links) + '[variants.v3000]\nextends = "v0"\n[variants.baseline]\n', name="mine", file="mine.toml"
        )


@examples(400)
@given(st.binary(max_size=300) | spoilt_spaces().map(str.encode))
@example(b"\xff\xfe")
@example(b"\x00" * 100)
@example(b"# comment\n" * 200_000)
def test_check_says_in_one_line_what_is_wrong_with_a_file(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "mine.toml"
    path.write_bytes(content)
    with within():
        result = CliRunner().invoke(main, ["spaces", "check", str(path)])
    if result.exit_code == 0:
        assert result.stdout.endswith("no mistakes\n")
        return
    assert result.exit_code == 2, result.output
    assert "mine.toml" in error_line(result)
