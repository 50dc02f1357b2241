"""Finds the classifier of a network: its last layer, which gives one value for each class."""

from torch import nn

# The last layers of convnet and mlp. Auxiliary heads classify, too.
OUTPUTS = ("classifier.output", "output", "aux")


def tensors_of_classifier(network: nn.Module) -> frozenset[str]:
    """The names of the classifier's tensors, as in the network's state_dict.

    The classifier is what the method `get_classifier` returns, which all networks of timm have, or else the layers of
    OUTPUTS. Raises ValueError for a network that has neither.
    """
    layers = [module for name, module in network.named_modules() if name in OUTPUTS]
    for module in network.modules():
        if (get_classifier := getattr(module, "get_classifier", None)) is not None:
            found = get_classifier()
            layers = list(found) if isinstance(found, tuple | list) else [found]  # distilled networks have two
            break
    prefixes = tuple(f"{name}." for name, module in network.named_modules() if any(module is each for each in layers))
    tensors = frozenset(name for name in network.state_dict() if name.startswith(prefixes))
    if not tensors:
        raise ValueError(
            "freeze_epochs must be 0 for a network that does not tell its classifier: it has neither a method "
            'get_classifier nor a layer named "output"'
        )
    return tensors
