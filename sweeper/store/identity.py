"""Which store a folder is: an id, and the place for which it was recorded, so that a copy is told from its original."""

import json
import os
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from sweeper.errors import SweeperError, plain
from sweeper.store.atomic import whole_file
from sweeper.store.names import is_id
from sweeper.store.stored_values import from_text

FILE = "store.json"


@dataclass(frozen=True)
class Identity:
    """The id of a store, and where it lay when that was recorded: its path, and the number of its folder there."""

    id: str
    root: str
    inode: int


def of(root: Path) -> Identity | None:
    """The recorded identity; None without one: the store is new, or an older sweeper made it. Raises SweeperError."""
    path = root / FILE
    try:
        found: Identity = from_text(Identity, path.read_bytes(), "store")
        if not is_id(found.id):
            raise ValueError(f"store.id should be 32 hexadecimal digits, got {plain(found.id)}")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SweeperError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SweeperError(
            f"{path} cannot be read: {error}; remove it, and `sweeper store adopt` makes it anew"
        ) from error
    return found


def record(root: Path, store_id: str | None = None) -> Identity:
    """Records that the store lies here, with this id or a new one. Raises OSError."""
    here = Identity(store_id or uuid4().hex, str(root), root.stat().st_ino)
    with whole_file(root / FILE) as temporary:
        temporary.write_text(json.dumps(asdict(here)))
    return here


def is_elsewhere(identity: Identity, root: Path) -> bool:
    """Whether the identity was recorded for another folder. A folder that is seen under another path is the same."""
    return identity.root != str(root) and not (os.path.exists(root) and root.stat().st_ino == identity.inode)


def check_place(root: Path) -> Identity:
    """The store's identity, recorded now if it has none; SweeperError if it was recorded for another folder."""
    found = of(root)
    if found is None:
        return record(root)
    if is_elsewhere(found, root):
        raise SweeperError(
            f"the store {root} was moved or copied: it belonged to {plain(found.root)}; "
            f"`sweeper store adopt --store {shlex.quote(str(root))}` makes it a store of its own"
        )
    return found
