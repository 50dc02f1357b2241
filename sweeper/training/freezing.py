"""Decides epoch by epoch which tensors a training leaves as they are."""

from collections.abc import Collection

from torch import nn


class Freezing:
    """The tensors of a network that do not train: `frozen` ones never, and all outside `head` not in the first epochs.

    `head` and `frozen` are names as in the network's state_dict. A batch norm with frozen running statistics keeps
    using them. Raises ValueError where nothing would be left to train in the first epochs.
    """

    def __init__(self, model: nn.Module, frozen: Collection[str], head: Collection[str], n_epochs: int) -> None:
        self._model, self._n_epochs = model, n_epochs
        for name, parameter in model.named_parameters():
            parameter.requires_grad &= name not in frozen
        self._trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        self._frozen = frozenset(frozen)
        self._frozen_first = self._frozen | {name for name in model.state_dict() if name not in head}
        if n_epochs and all(name in self._frozen_first for name, _ in self._trained):
            raise ValueError("freeze_epochs leaves nothing to train: the classifier is frozen, too")

    def ends_before(self, epoch: int) -> bool:
        """Whether this epoch is the first in which more than the classifier trains."""
        return bool(self._n_epochs) and epoch == self._n_epochs + 1

    def begin(self, epoch: int) -> None:
        """Makes those parameters train that do in this epoch."""
        frozen = self._in(epoch)
        for name, parameter in self._trained:
            parameter.requires_grad = name not in frozen

    def train(self, epoch: int) -> None:
        """Puts the network into training mode, without the norms whose statistics are frozen."""
        self._model.train()
        frozen = self._in(epoch)
        for name, module in self._model.named_modules():
            if f"{name}.running_mean" in frozen:
                module.training = False  # not module.eval(): a norm of timm's may contain a dropout

    def _in(self, epoch: int) -> frozenset[str]:
        return self._frozen_first if epoch <= self._n_epochs else self._frozen
