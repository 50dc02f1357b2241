import platform

import pytest

from sweeper.process import processor

INTEL = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Processor @ 2.80GHz
flags\t\t: fpu avx avx2 avx512f avx512_vnni amx_bf16

processor\t: 1
vendor_id\t: GenuineIntel
flags\t\t: fpu avx avx2 avx512f avx512_vnni amx_bf16
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd sve bf16\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [(INTEL, "GenuineIntel avx2 avx512f avx512_vnni amx_bf16"), (ARM, "asimd sve bf16"), ("", "")],
)
def test_processor_is_its_maker_and_the_instruction_sets_that_results_depend_on(tmp_path, monkeypatch, text, found):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    assert processor.of_this_machine() == f"{platform.machine()} {found}".strip()


def test_processor_of_a_system_that_does_not_tell_is_its_architecture(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "none")
    assert processor.of_this_machine() == platform.machine()


def test_gpus_are_told_by_name_and_each_name_once(monkeypatch):
    import torch

    names = {"cuda:0": "V100", "cuda:1": "A100", "cuda:2": "V100"}
    monkeypatch.setattr(torch.cuda, "get_device_name", names.__getitem__)
    assert processor.of(["cuda:0"]) == "V100"
    assert processor.of(list(names)) == "A100, V100"
    assert processor.of(["cpu", "cpu"]) == processor.of(["mps"]) == processor.of_this_machine()


@pytest.mark.parametrize(
    ("before", "now", "told"), [("", "x", False), ("x", "x", False), ("x", "", False), ("x", "y", True)]
)
def test_change_of_the_kind_is_told(before, now, told):
    text = processor.change(before, now)
    assert bool(text) == told
    assert not told or text.startswith("Trained on x so far, and on y from now on")
