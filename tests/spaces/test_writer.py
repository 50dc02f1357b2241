import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.config import MODEL_FAMILIES, Configuration, Protocol, TrainConfig
from sweeper.spaces import reader
from sweeper.spaces.writer import fixed_space


def read(text):
    return reader.parse(text, name="written", file="written.toml")


@pytest.mark.parametrize("name", reader.names())
def test_every_variant_that_ships_is_read_back_unchanged(name):
    space = reader.load(name)
    for variant in space.variants.values():
        written = read(fixed_space(variant.configuration, space.protocol, "a title", "a comment\nof two lines"))

        assert written.variants["baseline"].configuration == variant.configuration
        assert (written.protocol, written.title, dict(written.parameters)) == (space.protocol, "a title", {})


@pytest.mark.parametrize("family", MODEL_FAMILIES)
def test_defaults_of_every_family_are_written_out(family):
    configuration = Configuration(MODEL_FAMILIES[family](), TrainConfig())

    assert read(fixed_space(configuration, Protocol(), "all")).fixed.items() >= configuration.values().items()


@given(lr=st.floats(1e-12, 1e12), title=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1))
def test_numbers_and_titles_are_kept_exactly(lr, title):
    configuration = Configuration(MODEL_FAMILIES["convnet"](), TrainConfig(lr=lr))
    written = read(fixed_space(configuration, Protocol(validation=100, confirm=0.25), title))

    assert written.variants["baseline"].configuration.train.lr == lr
    assert (written.title, written.protocol.validation) == (title, 100)
