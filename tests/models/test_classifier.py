import pytest
import torch
from torch import nn

from sweeper.config import ConvNetConfig, MlpConfig, ResNetConfig, TimmConfig
from sweeper.models.classifier import tensors_of_classifier
from sweeper.models.families import build

BOTH = ("weight", "bias")


@pytest.mark.parametrize(
    ("config", "layers"),
    [
        (ConvNetConfig(), ["classifier.output"]),
        (ConvNetConfig(aux_heads=("conv1",), softmax_output=True), ["classifier.output", "aux.conv1"]),
        (MlpConfig(), ["output"]),
        (ResNetConfig(), ["classifier.output"]),
        (TimmConfig(input_size=64), ["network.fc"]),
        (TimmConfig(), ["fc"]),
        (TimmConfig(softmax_output=True), ["0.fc"]),
        (TimmConfig(model_name="mobilenetv3_small_050"), ["classifier"]),
        (TimmConfig(model_name="convnext_atto"), ["head.fc"]),
        (TimmConfig(model_name="deit_tiny_distilled_patch16_224"), ["head", "head_dist"]),
    ],
)
def test_classifier_of_each_family_is_found(config, layers):
    with torch.device("meta"):
        network = build(config, (3, 32, 32), 10)
    assert tensors_of_classifier(network) == {f"{layer}.{name}" for layer in layers for name in BOTH}


def test_network_that_does_not_tell_its_classifier_is_refused():
    with pytest.raises(ValueError, match=r"^freeze_epochs must be 0 for a network whose classifier cannot be found"):
        tensors_of_classifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))


class OnTimm(nn.Module):
    """A network of the user's on top of one of timm's, which has a classifier of its own."""

    def __init__(self):
        super().__init__()
        self.backbone = build(TimmConfig(), (3, 32, 32), 20)
        self.output = nn.Linear(20, 10)


@pytest.mark.parametrize(("softmax", "place"), [(False, ""), (True, "0.")])
def test_classifier_of_ones_own_network_is_its_output_not_that_of_a_part(softmax, place):
    with torch.device("meta"):
        network = nn.Sequential(OnTimm(), nn.Softmax(dim=1)) if softmax else OnTimm()
    assert tensors_of_classifier(network) == {f"{place}output.{name}" for name in BOTH}
