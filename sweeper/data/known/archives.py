"""A downloaded archive: some of its members, and nothing else, are taken out of it."""

import tarfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO

from sweeper.data.known import verified_files
from sweeper.data.known.catalog import DataFile
from sweeper.errors import SweeperError


def members(stream: IO[bytes], folder: str, wanted: Sequence[DataFile], place: str) -> Iterator[tuple[DataFile, bytes]]:
    """The `wanted` files with their checked contents, in the order in which the gzipped tar archive has them.

    Only a member that is called `folder`/NAME and has the file's very size is read. SweeperError, naming `place`, for
    a damaged archive or a member that is not the file.
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
