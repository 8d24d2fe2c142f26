"""MkDocs hooks: what pages link to outside docs/ becomes a page too, so that the site stands alone.

`README.md` is the first page, other Markdown keeps its path, and a source file is shown as code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
DOCS = "docs/"
BEFORE = "tree/"
"""Where pages of files from outside docs/ are."""
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
LANGUAGES = {".py": "python", ".json": "json", ".toml": "toml", ".java": "java"}
FIRST = "README.md"


def on_config(config: Any) -> Any:
    """Every decision is in the navigation, below their list, which is its last part."""
    decisions = sorted(f"adr/{path.name}" for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    (shown,) = config.nav[-1].values()
    shown += decisions
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the services' pages, and a page for each file that a page links to."""
    services = (path.relative_to(ROOT).as_posix() for path in ROOT.glob("*_svc/**/README.md"))
    for path in _reached([FIRST, *services, *(DOCS + file.src_uri for file in files)]):
        if not path.startswith(DOCS):
            files.append(File.generated(config, address(path), content=content(path)))
    return files


def _reached(waiting: list[str]) -> Iterator[str]:
    """These files and all that they link to, each once."""
    known: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path not in known:
            known.add(path)
            yield path
            waiting += targets(path) if path.endswith(".md") else []


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as they are in the site."""
    return linked(markdown, source_of(page.file.src_uri))


def targets(path: str) -> list[str]:
    """The files of the tree to which a document links."""
    text = FENCE.sub("", (ROOT / path).read_text())
    links = (link.partition("#")[0] for _, link, _ in LINK.findall(text))
    named = (resolved(path, link) for link in links if link and "://" not in link)
    return [name for name in named if (ROOT / name).exists()]


def resolved(path: str, link: str) -> str:
    """What a link of a document names: a folder's README stands for the folder."""
    found = normpath(str(PurePosixPath(path).parent / link))
    readme = f"{found}/README.md"
    return readme if (ROOT / readme).is_file() else found


def address(path: str) -> str:
    """The page of a file, as MkDocs names its source."""
    if path.startswith(DOCS):
        return path.removeprefix(DOCS)
    if path == FIRST:
        return "index.md"
    if path.endswith(".md"):
        return BEFORE + path
    return f"{BEFORE}{path}/index.md" if (ROOT / path).is_dir() else f"{BEFORE}{path}.md"


def source_of(uri: str) -> str:
    """The file from which a page is made."""
    if uri == "index.md":
        return FIRST
    if not uri.startswith(BEFORE):
        return DOCS + uri
    path = uri.removeprefix(BEFORE)
    return path if (ROOT / path).is_file() else path.removesuffix("/index.md").removesuffix(".md")


def content(path: str) -> str | bytes:
    """Markdown of a file from outside docs/."""
    found = ROOT / path
    if found.is_dir():
        names = sorted(child.name for child in found.iterdir())
        shown = [f"- `{name}`" for name in names if not name.startswith((".", "__"))]
        return "\n".join([f"# `{path}/`", "", *shown, ""])
    if found.suffix == ".md":
        return found.read_text()
    language = LANGUAGES.get(found.suffix, "text")
    return f"# `{path}`\n\n````{language}\n{found.read_text()}````\n"


def linked(markdown: str, path: str) -> str:
    """The document with its links turned to pages of the site."""
    here = str(PurePosixPath(address(path)).parent)
    parts = FENCE.split(markdown)
    parts[::2] = [LINK.sub(lambda m: m[1] + turned(path, here, m[2]) + m[3], p) for p in parts[::2]]
    return "".join(parts)


def turned(
    path: str,
    here: str,
    link: str,
) -> str:
    """One link; what does not lead into the tree stays."""
    target, hash_, anchor = link.partition("#")
    if not target or "://" in target or not (ROOT / resolved(path, target)).exists():
        return link
    return relpath(address(resolved(path, target)), here) + hash_ + anchor
