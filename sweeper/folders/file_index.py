"""Finds the files that a table names, however much of their paths and endings it writes."""

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

from sweeper.folders.names import parts_in
from sweeper.folders.walk import files_below
from sweeper.images.class_names import composed


class FileIndex:
    """All files below a folder that may be images, by every end of their paths, with and without their endings."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.names = [path.relative_to(root).as_posix() for path in files_below(root)]
        self._by_key: dict[str, list[str]] = defaultdict(list)
        self._by_case: dict[str, list[str]] | None = None
        self._depth = 0  # the most pieces that a path known here has
        for name in self.names:
            # A path from the folder's parent, where the table may lie, begins with the folder's own name.
            pieces = (self._root.name, *PurePosixPath(name).parts)
            self._depth = max(self._depth, len(pieces))
            for first in range(len(pieces)):
                end = PurePosixPath(*pieces[first:])
                for key in {_key(str(end)), _key(str(end.with_suffix("")))}:
                    self._by_key[key].append(name)

    def named(self, name: str) -> list[str]:
        """The files that have this name, which may be a whole path of another machine."""
        key = _key(name)
        if found := self._by_key.get(key):
            return found
        if re.match(r"/|[A-Za-z]:/", key):
            pieces = key.split("/")
            for first in range(max(1, len(pieces) - self._depth), len(pieces)):
                if found := self._by_key.get("/".join(pieces[first:])):
                    return found
        if self._by_case is None:
            self._by_case = defaultdict(list)
            for known, names in self._by_key.items():
                self._by_case[known.casefold()] += names
        return list(dict.fromkeys(self._by_case.get(key.casefold(), [])))

    def nearest(self, name: str, table: Path) -> list[str]:
        """Of several files of this name, those in the table's folder, or else in a folder of the part that it is of."""
        found = self.named(name)
        if len(found) < 2:
            return found
        folder = table.parent.resolve()
        if self._root in folder.parents:
            here = folder.relative_to(self._root).as_posix() + "/"
            found = [each for each in found if each.startswith(here)] or found
        part = parts_in(table.stem)
        return [each for each in found if parts_in(PurePosixPath(each).parts[0]) == part] or found if part else found


def _key(name: str) -> str:
    """A file's name as it is compared: on another system, the same name may be written differently."""
    return composed(name.replace("\\", "/").removeprefix("./"))
