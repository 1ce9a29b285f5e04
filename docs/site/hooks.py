"""Hooks of MkDocs: pages that are generated, links that leave docs/, and formulas.

On a forge the pages of docs/ are read as they are. On the site, what they link to outside docs/ becomes a page, too.
"""

import html
import os
import re
from collections.abc import Iterator
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url
from nbconvert import MarkdownExporter

from docs.site import api, config_keys, results_files, tables

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^()\s#]+)(#[\w-]*)?\)")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
NOTEBOOKS = {"tutorial.ipynb": "tutorial.md", "dapper.ipynb": "dapper_notebook.md"}
ORIGINS: dict[str, Path] = {}
"""Pages of files that lie outside docs/ -> these files."""


def on_config(config: MkDocsConfig) -> None:
    """Put the modules of the package into the menu."""
    reference = next(entry["Reference"] for entry in config.nav if "Reference" in entry)
    reference.append({"Python": api.menu()})


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what is generated: notebooks, references, tables, and pages of files that are linked to."""
    generated = {
        "reference/config.md": config_keys.page(),
        "reference/files.md": results_files.page(),
        "results/tables.md": tables.page(),
        **api.pages(),
    }
    for name, page in NOTEBOOKS.items():
        body, resources = MarkdownExporter().from_filename(str(DOCS / name))
        stem = page.removesuffix(".md")
        generated[page] = re.sub(r"!\[png\]\((output_\w+\.png)\)", rf"![Output]({stem}_files/\1)", body)
        for file, content in resources["outputs"].items():
            files.append(File.generated(config, f"{stem}_files/{file}", content=content))
    pages = {DOCS / file.src_uri: file.content_string for file in files.documentation_pages()}
    for path in linked({path: text for path, text in pages.items() if path.exists()}):
        uri = page_uri(path)
        ORIGINS[uri] = path
        generated[uri] = path.read_text(encoding="utf-8") if path.suffix == ".md" else source_page(path)
    for uri, content in generated.items():
        files.append(File.generated(config, uri, content=content))
    return files


def linked(pages: dict[Path, str]) -> Iterator[Path]:
    """Yield the files and folders outside docs/ that pages link to, and those that these link to."""
    waiting, found = dict(pages), set()
    while waiting:
        origin, text = waiting.popitem()
        for match in LINK.finditer(text):
            path = Path(os.path.normpath(origin.parent / match[2]))
            if path in found or not path.exists() or path.is_relative_to(DOCS) or not path.is_relative_to(ROOT):
                continue
            found.add(path)
            if path.suffix == ".md":
                waiting[path] = path.read_text(encoding="utf-8")
            yield path


def page_uri(path: Path) -> str:
    """Return the page, or the file of the site, that stands for a file of the repository."""
    if path.is_relative_to(DOCS):
        name = path.relative_to(DOCS).as_posix()
        return NOTEBOOKS.get(name, name)
    name = path.relative_to(ROOT).as_posix()
    return f"source/{name}" if path.suffix == ".md" else f"source/{name}.md"


def source_page(path: Path) -> str:
    """Return a page that shows a file, or the files of a folder; the search leaves it out."""
    parts = [f"---\nsearch: {{exclude: true}}\n---\n# {path.relative_to(ROOT).as_posix()}\n"]
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.is_file():
            kind = {".py": "python", ".yaml": "yaml", ".smk": "python", ".sh": "bash"}.get(file.suffix, "text")
            head = f"## {file.name}\n\n" if path.is_dir() else ""
            parts.append(f"{head}~~~~~~~~~{kind}\n{file.read_text(encoding='utf-8')}\n~~~~~~~~~\n")
    return "\n".join(parts)


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links find the pages of the site."""
    here = page.file.src_uri
    origin = ORIGINS.get(here, DOCS / here)

    def replaced(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(origin.parent / match[2]))
        uri = page_uri(target) if target.is_relative_to(ROOT) else ""
        if files.get_file_from_path(uri) is None:
            return match[0]
        return f"{match[1]}({os.path.relpath(uri, Path(here).parent)}{match[3] or ''})"

    return LINK.sub(replaced, markdown)


def on_page_content(content: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write formulas as MathML, which browsers show without a script."""

    def formula(match: re.Match[str]) -> str:
        return convert(html.unescape(match[2]).strip(), display="block" if match[1] == "div" else "inline")

    return FORMULA.sub(formula, content)


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """Let pages that are opened from a folder search with a script of the site in place of one from elsewhere."""
    return output.replace("https://unpkg.com/iframe-worker/shim", get_relative_url("site/worker.js", page.url))
