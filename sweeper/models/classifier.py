"""Finds the classifier of a network: its last layer, which gives one value for each class."""

from torch import nn

# The last layers of convnet and mlp. Auxiliary heads classify, too.
OUTPUTS = ("classifier.output", "output", "aux")


def tensors_of_classifier(network: nn.Module) -> frozenset[str]:
    """The names of the classifier's tensors, as in the network's state_dict.

    The classifier is what the method `get_classifier` returns, which all networks of timm have, or else the layers of
    OUTPUTS. Raises ValueError for a network that has neither.
    """
    own = _inside(network)
    if (get_classifier := getattr(own, "get_classifier", None)) is not None:
        found = get_classifier()
        layers = list(found) if isinstance(found, tuple | list) else [found]  # distilled networks have two
    else:
        layers = [module for name, module in own.named_modules() if name in OUTPUTS]
    prefixes = tuple(f"{name}." for name, module in network.named_modules() if any(module is each for each in layers))
    tensors = frozenset(name for name in network.state_dict() if name.startswith(prefixes))
    if not tensors:
        raise ValueError(
            "freeze_epochs must be 0 for a network whose classifier cannot be found: it has neither a method "
            'get_classifier nor a layer named "output"'
        )
    return tensors


def _inside(network: nn.Module) -> nn.Module:
    """The network without what a family puts around it: a change of the images' size before it, a softmax behind it.

    A network of timm's that is only a part of it does not count: its classifier is not that of the whole.
    """
    while isinstance(network, nn.Sequential) and not hasattr(network, "get_classifier"):
        first, *others = network
        if not all(isinstance(other, nn.Softmax) for other in others):
            break
        network = first
    return network
