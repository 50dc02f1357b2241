import pytest

from sweeper.store.toml_text import read_toml


@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809"])
def test_integers_are_those_of_toml(number):
    assert read_toml("a = [9223372036854775807, -9223372036854775808]")
    with pytest.raises(ValueError, match="64 bits"):
        read_toml(f"a = [{{ b = {number} }}]")
