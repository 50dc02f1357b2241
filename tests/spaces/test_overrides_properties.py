"""Whatever is given to `--set`: a space, or one line that names the override or the place that it spoils."""

import json

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from sweeper.cli import main
from sweeper.errors import UsageError
from sweeper.spaces import reader
from tests.hostile import error_line, examples, toml, within
from tests.spaces.test_reader import EXAMPLE
from tests.spaces.test_reader_properties import KEYS, anything, keys, numbers

parts = (
    st.text(max_size=8) | numbers.map(str) | st.sampled_from(["relu", "true", "inf", "nan", "[1]", "{", "'", "same"])
)
shorthands = st.lists(parts, min_size=1, max_size=4).flatmap(
    lambda p: st.sampled_from([",", ":", " , "]).map(lambda s: s.join(p))
)
values = anything.map(toml) | shorthands | st.text(max_size=20)
overrides = st.builds("{}={}".format, st.sampled_from(KEYS) | keys, values) | st.text(max_size=20)


@examples(600)
@given(st.lists(overrides, min_size=1, max_size=3))
@example(["lr=" + "1" * 100_000])
@example(["lr=" + "1," * 100_000 + "2"])
@example(["x" * 100_000 + "=1"])
@example(["dropout=" + "a." * 50_000 + "b"])
@example(["dropout=" + "." * 100_000 + ":1"])
@example(["dropout=1:" + "1" * 5000])
@example(["dropout={" + "a." * 50_000 + "b=1}"])
@example(["lr=\udcff"])
@example(["filters=[1000000000000]"])
@example(["dropout='''\n'''"])
def test_override_is_taken_or_refused_in_one_line(given):
    with within():
        try:
            space = reader.parse(EXAMPLE, name="mine", file="mine.toml", overrides=given)
        except UsageError as error:
            message = str(error)
            assert "--set" in message or "(mine.toml" in message
            assert message.isprintable()
            assert len(message) < 2000
        else:
            json.dumps(space.describe(), allow_nan=False)


@examples(200)
@given(overrides.filter(lambda override: "\x00" not in override))  # no argument of a process holds one
@example("-")
def test_search_says_in_one_line_what_is_wrong_with_an_override(tmp_path_factory, override):
    folder = tmp_path_factory.mktemp("set")
    try:
        reader.load("lenet5", [override])
    except UsageError:
        pass
    else:
        return  # a search that would begin
    with within():
        result = CliRunner().invoke(
            main, ["search", "fashion_mnist", f"--set={override}", "--store", f"{folder}/store"]
        )
    assert result.exit_code == 2, result.output
    assert "--set" in error_line(result) or "lenet5.toml" in result.stderr
    assert not list(folder.iterdir())


def test_long_override_is_shown_by_its_ends():
    with pytest.raises(UsageError) as refused:
        reader.parse(EXAMPLE, name="mine", file="mine.toml", overrides=["droput=" + "1" * 5000])
    assert " ... 1111" in str(refused.value)
    assert len(str(refused.value)) < 1000
