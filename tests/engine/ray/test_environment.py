import platform

import pytest

from sweeper.engine.ray import environment

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
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "cpuinfo")
    assert environment.processor() == f"{platform.machine()} {found}".strip()


def test_processor_of_a_system_that_does_not_tell_is_its_architecture(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "none")
    assert environment.processor() == platform.machine()


def test_difference_names_what_differs_and_what_is_missing():
    here = {"sweeper": "1 (code a)", "torch": "2", "Python": "3"}
    assert environment.difference(here, here) == ""
    there = {"sweeper": "1 (code b)", "torch": "2"}
    assert environment.difference(there, here) == (
        "its sweeper is 1 (code b), here it is 1 (code a), its Python is missing, here it is 3"
    )


def test_software_has_versions_and_a_hash_of_the_code():
    software = environment.software()
    assert list(software) == ["sweeper", "torch", "Python"]
    assert software == environment.software()
    assert "(code " in software["sweeper"]
