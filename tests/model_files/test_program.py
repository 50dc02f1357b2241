import json
import tempfile
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from sweeper.errors import SweeperError
from sweeper.model_files import program
from sweeper.model_files.checks import check

ROOT = Path(__file__).parents[2]


def test_file_gives_the_networks_logits_in_batches_of_any_size(exported, tmp_path):
    program.save(exported.program, tmp_path / "a.pt2", exported.about)
    check(program.predictor(tmp_path / "a.pt2"), exported.logits, exported.images)


def test_file_says_what_it_is_and_nothing_of_this_machine(exported, tmp_path):
    program.save(exported.program, tmp_path / "a.pt2", exported.about)
    with zipfile.ZipFile(tmp_path / "a.pt2") as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    [about] = [content for name, content in contents.items() if name.endswith("/extra/sweeper.json")]
    assert json.loads(about) == exported.about
    folders = [str(ROOT), str(Path.home()), tempfile.gettempdir(), str(Path(torch.__file__).parent)]
    for name, content in contents.items():
        assert not [folder for folder in folders if folder.encode() in content or folder in name], name


class Undecided(nn.Module):
    """Does what its input says, which torch cannot export."""

    def forward(self, images):
        return images.float().mean((1, 2, 3))[:, None] * (2 if images.float().sum() > 9 else 1)


def test_network_that_torch_cannot_export_is_refused_in_one_line(capfd):
    with pytest.raises(
        SweeperError, match=r"torch cannot export this network .* safetensors writes its weights"
    ) as refused:
        program.program_of(Undecided(), (1, 4, 4))
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")
