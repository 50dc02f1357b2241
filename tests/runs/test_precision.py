import pytest

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.engine.execution import Execution
from sweeper.events import State
from sweeper.models import precision as rules
from sweeper.models.precision import PrecisionRule
from sweeper.process import processor
from sweeper.runs import precision
from tests.spaces.test_reader import EXAMPLE, parse

IMAGES = (1, 28, 28), 10
ZEN, INTEL, OLD = "x86_64 AuthenticAMD avx512_bf16", "x86_64 GenuineIntel avx512_bf16 amx_bf16", "x86_64 avx2"
CPU = Execution(("cpu",), 1, "channels_last")
RAY = Execution(("cpu",), 1, "channels_last", engine="ray")


@pytest.fixture
def here(monkeypatch):
    """Says which processor this machine has. Both rules give every network bfloat16."""
    monkeypatch.setattr(rules, "RULES", (PrecisionRule("amx_bf16", 2), PrecisionRule("avx512_bf16", 1)))

    def use(kind):
        monkeypatch.setattr(processor, "of", lambda devices: kind)
        monkeypatch.setattr("sweeper.engine.ray.probe.commonest_processor", lambda: kind)

    return use


def settled(space="precision=auto", stored=(), execution=CPU):
    return precision.of_study(parse(EXAMPLE, space), execution, IMAGES, dict(stored), "s")


def baseline_of(found):
    return found.space.variants["baseline"].configuration.train.precision


def begun():
    """The stored spec of a study that begins here."""
    found = settled()
    return {"precision_rule": found.rule, "space": found.space.describe()}


def test_space_that_names_its_precision_is_left_as_it_is(here):
    here(ZEN)
    found = settled("precision=float32")
    assert (baseline_of(found), found.rule, found.told) == ("float32", "", "")


@pytest.mark.parametrize(
    ("kind", "given"), [(ZEN, "bfloat16"), (INTEL, "bfloat16"), (OLD, "float32"), ("GPU", "float32")]
)
def test_new_study_has_the_rule_of_its_processor(here, kind, given):
    here(kind)
    found = settled()
    assert baseline_of(found) == given
    assert given in found.rule
    assert found.told == f'Precision "auto": {found.rule}'


def test_study_keeps_its_bound_where_another_version_of_sweeper_has_another(here, monkeypatch):
    here(ZEN)
    stored = begun()
    monkeypatch.setattr(rules, "RULES", (PrecisionRule("avx512_bf16", 10**12),))
    found = settled(stored=stored)
    assert (baseline_of(found), found.rule) == ("bfloat16", stored["precision_rule"])


@pytest.mark.parametrize(("before", "now"), [(ZEN, OLD), (OLD, ZEN), (ZEN, INTEL), (INTEL, "GPU")])
def test_study_of_another_processor_is_refused_with_both_rules_and_what_to_give(here, before, now):
    here(before)
    stored = begun()
    here(now)
    found = settled(stored=stored)
    assert found.rule == stored["precision_rule"]  # its trials are shown as they were trained
    for words in ("study s", stored["precision_rule"], settled().rule, "--new --set precision=float32"):
        assert words in found.refusal
    here(before)
    assert settled(stored=stored).refusal == ""


def test_study_on_a_cluster_keeps_its_rule_wherever_its_command_runs(here):
    here(ZEN)
    new = settled(execution=RAY)
    assert (baseline_of(new), new.execution.required_processor) == ("bfloat16", ZEN)
    here(OLD)
    found = settled(stored={"precision_rule": new.rule}, execution=RAY)
    assert (baseline_of(found), found.rule) == ("bfloat16", new.rule)
    assert not found.execution.required_processor  # the study knows it


def test_study_whose_images_are_not_here_has_the_precisions_that_it_began_with(here):
    here(ZEN)
    stored = begun()
    found = precision.of_study(parse(EXAMPLE, "precision=auto"), CPU, None, stored, "s")
    assert found.space.describe() == stored["space"]


@pytest.mark.parametrize("fixed", [{}, {"precision": "float32"}])
def test_study_begun_in_float32_goes_on_so(here, fixed):
    here(ZEN)
    before = parse(EXAMPLE, *[f"{name}={value}" for name, value in fixed.items()])
    found = settled(stored={"space": before.describe()})
    assert found.space.describe() == before.describe()
    assert found.rule == ""
    assert "float32, as the study began" in found.told


def test_study_begun_with_a_choice_of_the_users_is_left_to_the_comparison_of_spaces(here):
    here(ZEN)
    found = settled(stored={"space": parse(EXAMPLE, "precision=bfloat16").describe()})
    assert (found.space.fixed["precision"], found.rule) == ("auto", "")


def test_damaged_rule_is_left_to_the_reading_of_the_study(here):
    here(ZEN)
    assert settled(stored={"precision_rule": "damaged"}).rule == str(rules.rule_of(ZEN))


OPEN = Configuration(ConvNetConfig(padding=(2, 0, 0)), TrainConfig(precision="auto"))


@pytest.mark.parametrize(("kind", "given"), [(ZEN, "bfloat16"), (OLD, "float32")])
def test_training_by_itself_gets_a_precision_and_says_which(here, kind, given):
    here(kind)
    found = precision.of_training(OPEN, CPU, IMAGES, lambda configuration: None)
    assert (found.configuration.train.precision, found.execution) == (given, CPU)
    assert found.told.startswith(f'Precision "auto": {given}')
    named = precision.of_training(found.configuration, CPU, IMAGES, lambda configuration: State.INTERRUPTED)
    assert (named.configuration, named.told) == (found.configuration, "")


@pytest.mark.parametrize(
    ("float32", "bfloat16", "given"),
    [
        (None, None, "bfloat16"),
        (State.INTERRUPTED, None, "float32"),
        (State.INTERRUPTED, State.INTERRUPTED, "bfloat16"),
        (State.INTERRUPTED, State.COMPLETE, "bfloat16"),
        (State.COMPLETE, None, "bfloat16"),
    ],
)
def test_training_by_itself_that_was_interrupted_in_the_other_precision_goes_on_in_it(here, float32, bfloat16, given):
    here(ZEN)
    states = {"float32": float32, "bfloat16": bfloat16}
    found = precision.of_training(OPEN, CPU, IMAGES, lambda configuration: states[configuration.train.precision])
    assert found.configuration.train.precision == given
    assert ("as this training began" in found.told) is (given == "float32")


def test_training_by_itself_does_not_go_on_in_a_bfloat16_that_somebody_asked_for(here):
    here(OLD)
    states = {"float32": None, "bfloat16": State.INTERRUPTED}
    found = precision.of_training(OPEN, CPU, IMAGES, lambda configuration: states[configuration.train.precision])
    assert found.configuration.train.precision == "float32"


def test_training_by_itself_in_a_cluster_requires_the_processor_that_its_precision_is_for(here):
    here(ZEN)
    assert precision.of_training(OPEN, RAY, IMAGES, lambda c: None).execution.required_processor == ZEN
