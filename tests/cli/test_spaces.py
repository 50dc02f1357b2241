import json
import os

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from tests.hostile import refused
from tests.spaces.test_reader import EXAMPLE


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["spaces", *arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_list_names_the_spaces_that_ship():
    assert "lenet5" in run("list").stdout
    assert {s["name"] for s in json.loads(run("list", "--json").stdout)["spaces"]} >= {"lenet5"}


def test_show_as_json_keeps_its_shape():
    shown = json.loads(run("show", "lenet5", "--json").stdout)
    assert set(shown) == {"schema_version", "name", "protocol", "parameters", "variants"}
    assert (shown["schema_version"], shown["name"]) == (1, "lenet5")
    assert shown["parameters"]["lr"] == {"type": "float", "low": 1e-4, "high": 0.3, "step": None, "log": True}
    assert shown["parameters"]["momentum"]["when"] == {"optimizer": "sgd"}
    baseline = shown["variants"]["baseline"]
    assert set(baseline) == {"values", "epochs", "n_parameters", "reported"}
    assert (baseline["n_parameters"], baseline["reported"]) == (61_706, {})
    assert baseline["values"]["filters"] == [6, 16, 120]


def test_show_takes_a_file_with_its_reported_figures(tmp_path):
    (tmp_path / "mine.toml").write_text(EXAMPLE)
    shown = json.loads(run("show", str(tmp_path / "mine.toml"), "--json").stdout)
    assert shown["variants"]["5.0"]["reported"]["accuracy"] == 0.9126
    assert shown["variants"]["baseline"]["n_parameters"] == 61_706
    printed = run("show", str(tmp_path / "mine.toml")).stdout
    assert "batch_norm = true" in printed
    assert "91.26 %" in printed


def test_study_is_shown_with_its_protocol_and_the_figures_of_each_split():
    shown = json.loads(run("show", "lenet5_activations", "--json").stdout)
    assert shown["protocol"]["folds"] == 5
    assert [entry["split"] for entry in shown["variants"]["relu"]["reported"]] == ["validation", "test"]
    printed = run("show", "lenet5_activations").stdout
    assert "Protocol: epochs 15, confirm 0.0, folds 5, repeats 1, pixels unit, test_flip False\n" in printed
    assert "validation: accuracy 89.55 %, thresholded_precision 90.98 %" in printed
    assert "test: accuracy 89.74 %, thresholded_precision 90.89 %" in printed
    assert "Protocol: epochs 15, validation 0.2, confirm 0.0, folds 0" in run("show", "lenet5_steps").stdout


def test_parameters_cannot_be_counted_without_a_data_set(tmp_path):
    (tmp_path / "bare.toml").write_text("[variants.baseline]\n")
    shown = json.loads(run("show", str(tmp_path / "bare.toml"), "--json").stdout)
    assert shown["variants"]["baseline"]["n_parameters"] is None


def test_sound_file_is_said_to_be_so(tmp_path):
    (tmp_path / "mine.toml").write_text(EXAMPLE)
    assert "12 parameters, 3 variants, no mistakes" in run("check", str(tmp_path / "mine.toml")).stdout


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[model]\ndropout = 2\n", b""])
def test_bad_file_is_one_line_and_exit_code_2(tmp_path, content):
    (tmp_path / "bad.toml").write_bytes(content)
    result = run("check", str(tmp_path / "bad.toml"), code=2)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "bad.toml" in result.stderr


def test_folder_is_no_space(tmp_path):
    assert "neither a file nor one of" in run("check", str(tmp_path), code=2).stderr


def test_names_are_shown_as_they_are_and_lines_not_cut_in_a_pipe(tmp_path):
    text = EXAMPLE.replace('[variants."4.0"]', '[variants."[bold]x:smile:"]').replace('"4.0"', '"[bold]x:smile:"')
    (tmp_path / "mine.toml").write_text(text)
    printed = run("show", str(tmp_path / "mine.toml")).stdout
    assert "[bold]x:smile:" in printed
    assert '"relu", "leaky_relu", "tanh", "elu", "gelu", "silu"' in printed


def test_shares_that_leave_nothing_are_refused_by_file_and_table(tmp_path):
    (tmp_path / "mine.toml").write_text(EXAMPLE.replace("validation = 0.1", "validation = 0.95"))
    error = run("check", str(tmp_path / "mine.toml"), code=2).stderr
    assert "must sum to less than 1, got 0.95 and 0.1 (mine.toml, [protocol])" in error


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to(path), lambda path: path.symlink_to("/dev/zero")]
)
def test_what_is_no_regular_file_is_no_space(tmp_path, make):
    make(tmp_path / "mine.toml")
    assert "neither a file nor one of" in refused("spaces", "check", tmp_path / "mine.toml", codes=(2,))


def test_file_name_that_no_terminal_can_show_is_quoted(tmp_path):
    path = tmp_path / "m\udcff\n.toml"
    path.write_text(EXAMPLE)
    assert r"m\udcff\n.toml': 12 parameters" in run("check", str(path)).stdout


@pytest.mark.parametrize("name", ["x" * 5000, "no\nsuch"])
def test_hostile_file_name_is_one_line_and_exit_code_2(name):
    assert run("check", name, code=2).stderr.count("\n") == 1


TIMM = """
[model]
family = "timm"
model_name = { choices = ["resnet18", "resnet_26"] }
[variants.baseline]
[variants.longer]
epochs = 30
drop_rate = 0.1
[variants.perceptron]
family = "mlp"
hidden = [7]
"""


def test_unknown_network_of_timm_is_named_with_the_nearest(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TIMM)
    message = f"model_name must be one of timm's, got 'resnet_26'; did you mean resnet26? ({path})"
    assert message in run("check", str(path), code=2).stderr
    path.write_text(TIMM.replace("resnet_26", "resnet26"))
    assert "1 parameter, 3 variants, no mistakes" in run("check", str(path)).stdout


def test_variant_is_shown_with_its_epochs_and_one_of_another_family_against_that_familys_defaults(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TIMM)
    shown = json.loads(run("show", str(path), "--json").stdout)["variants"]
    assert {name: variant["epochs"] for name, variant in shown.items()} == {
        "baseline": 15, "longer": 30, "perceptron": 15
    }  # fmt: skip
    printed = run("show", str(path)).stdout
    assert "drop_rate = 0.1, epochs = 30" in printed
    assert 'family = "mlp", hidden = [7] ' in printed


def test_space_for_any_images_is_listed_as_such():
    assert "timm_small  Small networks of the timm library (any images)" in run("list").stdout
