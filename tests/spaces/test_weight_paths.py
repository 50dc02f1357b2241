from pathlib import Path

import pytest

from sweeper.config import TimmConfig
from sweeper.models import packages
from sweeper.spaces import reader
from tests.models.own_code import forget_code, in_use

TEXT = """
[model]
family = "timm"
model_name = "test_resnet"
pretrained_file = { choices = ["w/a.safetensors", "/data/b.pt", ""] }
[train]
lr = { type = "float", low = 1e-3, high = 1e-2, when = { pretrained_file = "w/a.safetensors" } }
[variants.baseline]
pretrained_file = "../c"
[variants.scratch]
pretrained = false
"""
PLAIN = '[model]\nfamily = "timm"\nmodel_name = "test_resnet"\n[variants.baseline]\n'


def space(tmp_path, text=TEXT, *overrides):
    (tmp_path / "spaces").mkdir(exist_ok=True)
    file = tmp_path / "spaces" / "mine.toml"
    file.write_text(text)
    return reader.load(str(file), overrides)


def test_relative_paths_start_at_the_space_file_wherever_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    found = space(tmp_path)
    a = str(tmp_path / "spaces" / "w" / "a.safetensors")
    assert found.parameters["pretrained_file"].choices == (a, "/data/b.pt", "")
    assert found.parameters["lr"].when == {"pretrained_file": a}
    assert found.variants["baseline"].configuration.model.pretrained_file == str(tmp_path / "c")


def test_relative_paths_of_overrides_start_at_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = space(tmp_path, PLAIN, "pretrained_file=w.safetensors")
    assert found.fixed["pretrained_file"] == str(tmp_path / "w.safetensors")
    assert found.variants["baseline"].configuration.model.weights == f"test_resnet from {tmp_path / 'w.safetensors'}"


def test_a_file_means_a_pretrained_network_unless_its_table_says_otherwise(tmp_path):
    found = space(tmp_path)
    assert found.fixed["pretrained"] is True
    assert found.variants["baseline"].configuration.model.pretrained
    assert not found.variants["scratch"].configuration.model.pretrained
    both = 'pretrained_file = "w.pt"\npretrained = { choices = [false, true] }\n[variants.baseline]\npretrained = true'
    assert "pretrained" in space(tmp_path, PLAIN.replace("[variants.baseline]", both)).parameters


def test_all_pretrained_networks_of_a_space_are_known(tmp_path):
    found = space(
        tmp_path,
        """
[model]
family = "timm"
model_name = { choices = ["resnet18", "resnet34"] }
pretrained = { choices = [false, true] }
pretrained_file = { choices = ["/a.pt", "/b.pt"], when = { model_name = "resnet18", pretrained = true } }
[variants.baseline]
model_name = "resnet50"
pretrained = true
[variants.scratch]
model_name = "resnet18"
pretrained = false
""",
    )
    own = ["resnet50"]
    drawn = ["resnet18 from /a.pt", "resnet18 from /b.pt", "resnet34"]
    assert [model.weights for model in found.pretrained(["baseline", "scratch"], searched=False)] == own
    assert sorted({model.weights for model in found.pretrained(found.variants, searched=True)}) == sorted(own + drawn)


@pytest.mark.parametrize("value", ["3", '{ choices = ["a", 3] }', '"a\\u0000b"'])
def test_what_is_no_path_is_refused(tmp_path, value):
    with pytest.raises(Exception, match=r"pretrained_file .*(mine.toml|must be)") as refused:
        space(tmp_path, PLAIN.replace("[variants", f"pretrained_file = {value}\n[variants"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("family", ["custom", "packaged"])
def test_argument_of_ones_own_network_with_this_name_is_no_path(tmp_path, monkeypatch, family):
    forget_code(monkeypatch)
    in_use(tmp_path, "def net(input_shape, n_classes, pretrained_file: str = ''):\n    pass\n")
    monkeypatch.setattr(packages, "families", lambda: {"packaged": "nets:net"})
    own = f'[model]\nfamily = "{family}"\nnetwork = "nets:net"\npretrained_file = "none"\n[variants.baseline]\n'
    assert space(tmp_path, own).variants["baseline"].configuration.model.arguments == (("pretrained_file", "none"),)
    assert space(tmp_path, own, "pretrained_file=other").fixed["pretrained_file"] == "other"


def test_weights_are_named_for_pretrained_networks_only():
    assert TimmConfig(pretrained_file="/w.pt").weights == ""
    assert TimmConfig(pretrained=True).weights == "resnet18"
    assert Path(TimmConfig(pretrained=True, pretrained_file="/w.pt").weights.rpartition(" ")[2]) == Path("/w.pt")
