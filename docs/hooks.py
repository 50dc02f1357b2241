"""Takes pages and files beside docs/, such as benchmarks/, into the site, at the paths that they have in the project.

A page of docs/ links to them as on a forge, with a path out of docs/ (`../../benchmarks/modern.md`). On the site, docs/
is the root, so that the link needs one `../` less.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
BESIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "benchmarks", "examples", "search_spaces")
# A link's target, and the URL of a reference ("[name]: target").
LINK = re.compile(r"(\]\(|^\[[^\]]+\]: )(?!\w+:|#)([^)\s#]+)", re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    for name in BESIDE:
        place = ROOT / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.suffix in (".md", ".toml", ".ipynb", "") and path.is_file():
                files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """The page with its links as the site needs them: all paths begin at docs/."""
    source = page.file.src_uri
    in_docs = Path(page.file.abs_src_path).is_relative_to(config.docs_dir)
    home = posixpath.dirname(f"docs/{source}" if in_docs else source)

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(home, link[2]))
        on_site = target.removeprefix("docs/")
        return link[1] + posixpath.relpath(on_site, posixpath.dirname(source) or ".")

    return LINK.sub(moved, markdown)
