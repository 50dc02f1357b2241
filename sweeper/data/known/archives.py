"""Takes the wanted members, and nothing else, out of a downloaded archive."""

import tarfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO

from sweeper.data.known import verified_files
from sweeper.data.known.catalog import DataFile
from sweeper.errors import SweeperError


def members(stream: IO[bytes], folder: str, wanted: Sequence[DataFile], place: str) -> Iterator[tuple[DataFile, bytes]]:
    """The `wanted` files with their checked contents, in the order of the gzipped tar archive.

    Reads only a member that is called `folder`/NAME and has exactly the file's size. Raises SweeperError that names
    `place` if the archive is damaged or a member differs from its file.
    """
    names = {f"{folder}/{file.name}": file for file in wanted}
    try:
        with tarfile.open(fileobj=stream, mode="r|gz") as archive:
            for member in archive:
                if member.name not in names:
                    continue
                file = names.pop(member.name)
                content = archive.extractfile(member) if member.isreg() and member.size == file.size else None
                if content is None:
                    raise SweeperError(f"{member.name} must be a file of {file.size:,} bytes, got none ({place})")
                yield file, verified_files.check(content.read(), file, f"{place}, {member.name}")
                if not names:
                    return
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise SweeperError(f"the archive must be intact, got: {error} ({place})") from None
