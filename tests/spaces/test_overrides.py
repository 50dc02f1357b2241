import pytest

from sweeper.errors import UsageError
from sweeper.spaces.overrides import parse_override


@pytest.mark.parametrize(
    ("text", "value", "is_shorthand"),
    [
        ("k=3", 3, False),
        (" k = 0.5 ", 0.5, False),
        ("k=true", True, False),
        ("k=relu", "relu", False),
        ('k="relu"', "relu", False),
        ("k=[1,2]", [1, 2], False),
        ("k={low=1,high=2}", {"low": 1, "high": 2}, False),
        ('k="a,b"', "a,b", False),
        ("k=1:3", {"low": 1, "high": 3}, True),
        ("k=1e-3:0.1", {"low": 1e-3, "high": 0.1}, True),
        ("k=relu,tanh", {"choices": ["relu", "tanh"]}, True),
        ("k=false, true", {"choices": [False, True]}, True),
        ("k=1,[2,3]", None, None),
    ],
)
def test_value_is_toml_a_word_a_range_or_choices(text, value, is_shorthand):
    if value is None:
        with pytest.raises(UsageError, match="must be a TOML value"):
            parse_override(text)
        return
    override = parse_override(text)
    assert (override.key, override.value, override.is_shorthand) == ("k", value, is_shorthand)
    assert type(override.value) is type(value)
    assert override.place == f"--set {text}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dropout", "an override must be KEY=VALUE, got 'dropout' (--set)"),
        ("dropout=", "an override must be KEY=VALUE"),
        ("=1", "an override must be KEY=VALUE"),
        (
            "dropout=0.1;2",
            "dropout must be a TOML value, a word, LOW:HIGH or A,B,..., got '0.1;2' (--set dropout=0.1;2)",
        ),
        ("dropout=0.1\nlr=3", "dropout must be a TOML value"),
        ("dropout=1..2:3", "dropout must be a TOML value"),
        ("dropout=0.1,", "dropout must be a TOML value"),
        ("dropout=1" + "0" * 5000, "dropout must be a TOML value"),
        ("dropout=1" + "0" * 100, "dropout must be a TOML value"),
        ("dropout=" + "[" * 5000, "dropout must be a TOML value"),
    ],
)
def test_what_is_no_override_is_refused_in_one_line(text, message):
    with pytest.raises(UsageError) as refused:
        parse_override(text)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
