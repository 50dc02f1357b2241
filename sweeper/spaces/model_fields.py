"""Which fields the networks of a space have: those of their family or, for a network of the user's, its arguments."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sweeper.config import CUSTOM, MODEL_FAMILIES, RESERVED, CustomConfig, ModelConfig, check_value
from sweeper.errors import SweeperError, nearest
from sweeper.models import packages, signatures
from sweeper.models.own_networks import OwnNetwork, find

# A tuple, because a file may have any value for the family, also one that no mapping takes.
BUILT_IN = tuple(MODEL_FAMILIES)


def kind_of(values: Mapping[str, Any]) -> type:
    """The dataclass whose fields a network with these values has. Raises ValueError with key, rule and value."""
    own = _own_network(values)
    return MODEL_FAMILIES[_family(values)] if own is None else signatures.kind_of(own)


def implied(values: Mapping[str, Any]) -> dict[str, Any]:
    """What these values of a user's network imply: where it is, the hash of its code, and its arguments' defaults.

    Empty for another family. Raises ValueError with key, rule and value.
    """
    own = _own_network(values)
    if own is None:
        return {}
    given = values.get("code_sha256", own.code_sha256)
    if given != own.code_sha256:
        raise ValueError(f"code_sha256 must be that of the code of {own.name}, {own.code_sha256}, got {given!r}")
    return {"network": own.name, "code_sha256": own.code_sha256, **signatures.defaults(own)}


def missing(values: Mapping[str, Any]) -> tuple[str, str]:
    """The first argument that a user's network needs and these values lack, and the network; else empty."""
    own = _own_network(values)
    lacking = [name for name in signatures.required(own) if name not in values] if own else []
    return (lacking[0], own.name) if own and lacking else ("", "")


def inherited(values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a network keeps from another one, of which it differs by its `own` values.

    Arguments of one network say nothing of another one's of the same name.
    """
    before, after = _place(values), _place({**values, **own})
    if before == after or (before[0] in BUILT_IN and after[0] in BUILT_IN):
        return dict(values)
    return {
        name: value for name, value in values.items() if name in RESERVED and name not in ("network", "code_sha256")
    }


def table_fields() -> list[str]:
    """The fields of networks of every family, the arguments of users' networks left out."""
    kinds: list[type[ModelConfig]] = [*MODEL_FAMILIES.values(), CustomConfig]
    names = (f.name for kind in kinds for f in fields(kind))
    return list(dict.fromkeys(name for name in names if name != "arguments"))


def _place(values: Mapping[str, Any]) -> tuple[Any, Any]:
    family = values.get("family", ModelConfig.family)
    return family, None if family in BUILT_IN else values.get("network")


def _family(values: Mapping[str, Any]) -> str:
    family = values.get("family", ModelConfig.family)
    if family in (*BUILT_IN, CUSTOM):
        return str(family)
    known = (*BUILT_IN, CUSTOM, *packages.families())
    if family not in known:
        near = nearest(family, known) if isinstance(family, str) else ""
        raise ValueError(f"family must be one of {', '.join(known)}, got {family!r}{near}")
    return str(family)


def _own_network(values: Mapping[str, Any]) -> OwnNetwork | None:
    family = _family(values)
    if family in BUILT_IN:
        return None
    name = values.get("network", packages.families().get(family) if family != CUSTOM else None)
    if name is None:
        raise ValueError('network must say which class or function makes the network, such as "nets:TinyNet"')
    if isinstance(name, Mapping):
        raise ValueError(
            "network must be one for the whole space, got a parameter: to search over several, name a function with "
            "an argument that chooses among them"
        )
    try:
        name = check_value(CustomConfig, "network", name)
    except ValueError as error:
        raise ValueError(f"network {error}") from None
    if family != CUSTOM and name != packages.families()[family]:
        raise ValueError(f"network of family {family} must be {packages.families()[family]}, got {name!r}")
    try:
        found = find(name)
        signatures.defaults(found)
    except SweeperError as error:
        raise ValueError(str(error)) from error
    return found
