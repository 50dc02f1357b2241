from sweeper.config import ConvNetConfig, TimmConfig
from sweeper.studies.comparability import start_alike
from sweeper.studies.spec import RunSpec


def spec(**hashes):
    pretrained = {name: {"sha256": sha256} for name, sha256 in hashes.items()}
    return RunSpec(dataset="d", data_sha256="", fold_scalings=[], pretrained=pretrained)


def test_pretrained_network_starts_alike_only_from_the_same_weights():
    model = TimmConfig(pretrained=True)
    assert start_alike(model, spec(resnet18="1"), spec(resnet18="1", resnet34="2"))
    assert not start_alike(model, spec(resnet18="1"), spec(resnet18="2"))
    assert not start_alike(model, spec(), spec(resnet18="1"))  # an older study scaled its pixels otherwise
    for random in (ConvNetConfig(), TimmConfig()):
        assert start_alike(random, spec(), spec(resnet18="1"))
