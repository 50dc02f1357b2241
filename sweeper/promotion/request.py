"""The requests for a promotion and for an ablation."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sweeper.data.source import DataAccess
from sweeper.engine.options import DeviceOptions
from sweeper.promotion.options import PromotionOptions
from sweeper.store.layout import Store


@dataclass(frozen=True, kw_only=True)
class PromotionRequest:
    """The request for a promotion. `study` None means the latest. `command` is the command line, for the record.

    `given` are the names of the options in the command line: those that only have their defaults are no request for
    another promotion than a recorded one.
    """

    study: str | None
    options: PromotionOptions
    given: Collection[str] = ()
    device: DeviceOptions
    data_access: DataAccess
    store: Store
    command: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class AblationRequest:
    """The request for an ablation; most fields are those of PromotionRequest.

    Each configuration is trained with `seeds` fresh seeds; None means as many as the promotion's estimate has. A study
    that was ablated before is only shown, unless `again`.
    """

    study: str | None
    seeds: int | None
    again: bool
    device: DeviceOptions
    data_access: DataAccess
    store: Store
    command: Sequence[str]
