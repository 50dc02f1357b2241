from pathlib import Path

from sweeper.models.weight_transfer import Match
from sweeper.runs.initial_weights import MatchedWeights, StoredWeights
from sweeper.tracking.weights import Source


def test_names_in_a_file_cannot_add_lines_to_what_is_told():
    match = Match(("conv1.weight",), {"x\nError: forged": "not in this network"}, ("conv1.weight",))
    source = Source("run " + 32 * "0", 32 * "0")
    lines = MatchedWeights(StoredWeights(source, Path("w"), 64 * "a", {}), match, freeze=False).lines()
    assert all(line.isprintable() for line in lines)
    assert lines[-1] == "not taken (1): 'x\\nError: forged' (not in this network)"
