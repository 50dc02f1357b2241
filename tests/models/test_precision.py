from dataclasses import replace

import pytest

from sweeper.config import Configuration, ConvNetConfig, CustomConfig, TimmConfig, TrainConfig
from sweeper.models.layers import n_multiply_adds, trace
from sweeper.models.precision import FLOAT32, RULES, PrecisionRule, Resolution, rule_of

GREY = (1, 28, 28), 10
OPEN = Configuration(ConvNetConfig(padding=(2, 0, 0)), TrainConfig(precision="auto"))
SIZE = n_multiply_adds(trace(OPEN.model, *GREY))


def resolved(configuration, bound):
    return Resolution(PrecisionRule("avx512_bf16", bound), *GREY)(configuration)


@pytest.mark.parametrize("rule", [FLOAT32, *RULES])
def test_rule_is_read_from_what_it_is_stored_as(rule):
    assert PrecisionRule.parse(str(rule)) == rule


@pytest.mark.parametrize("text", ["", "bfloat16", "bfloat16 from many multiply-adds an image (amx_bf16)", "half"])
def test_what_is_no_rule_is_refused_with_the_value(text):
    with pytest.raises(ValueError, match=f"got '{text}'".replace("(", r"\(").replace(")", r"\)")):
        PrecisionRule.parse(text)


@pytest.mark.parametrize(
    ("kind", "instructions"),
    [
        ("x86_64 GenuineIntel avx2 avx512f avx512_vnni avx512_bf16 avx512_fp16 amx_bf16", "amx_bf16"),
        ("x86_64 AuthenticAMD avx2 avx512f avx512_vnni avx512_bf16", "avx512_bf16"),
        ("x86_64 GenuineIntel avx2 avx512f", ""),
        ("aarch64 asimd sve bf16", ""),
        ("NVIDIA H200", ""),
        ("", ""),
    ],
)
def test_rule_is_that_of_the_best_instructions_that_a_processor_has(kind, instructions):
    rule = rule_of(kind)
    assert rule.instructions == instructions
    assert (rule == FLOAT32) == (not instructions)


def test_network_gets_bfloat16_from_the_bound_on():
    assert resolved(OPEN, SIZE).train.precision == "bfloat16"
    assert resolved(OPEN, SIZE + 1).train.precision == "float32"


def test_rule_without_a_bound_gives_float32():
    assert Resolution(FLOAT32, *GREY)(OPEN).train.precision == "float32"


@pytest.mark.parametrize(
    "model", [TimmConfig(), CustomConfig(network="nets:Net", code_sha256="0" * 64)], ids=lambda model: model.family
)
def test_network_of_a_family_that_was_not_measured_stays_in_float32(model):
    assert resolved(replace(OPEN, model=model), 1).train.precision == "float32"


def test_dropout_of_a_network_does_not_matter():
    dropped = replace(OPEN, model=replace(OPEN.model, dropout=0.3))
    assert resolved(dropped, SIZE) == replace(dropped, train=replace(OPEN.train, precision="bfloat16"))


def test_network_that_cannot_take_the_images_gets_a_precision_and_no_error():
    impossible = replace(OPEN, model=replace(OPEN.model, kernel_size=99))
    assert resolved(impossible, 0).train.precision == "bfloat16"
    assert resolved(impossible, 1).train.precision == "float32"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_named_precision_is_kept(precision):
    named = replace(OPEN, train=replace(OPEN.train, precision=precision))
    assert resolved(named, 0) == resolved(named, 10**12) == named
