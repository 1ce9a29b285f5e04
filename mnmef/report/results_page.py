"""The results page: every figure and table of a run with its caption, the claims, the config, versions and run times.

It comes as Markdown, `results/<scale>/README.md`, for hosts of code; and its tables come as small HTML pages, which
Snakemake's report embeds. Captions are `docs/captions/<name of the file>.rst`: one paragraph that begins with a title
in bold, plain enough to mean the same in reStructuredText and in Markdown.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import mistune
import pandas as pd
import xarray as xr
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mnmef.report.tables import markdown_table

NUMBERED = re.compile(r"(figure|table)_([a-z]?)(\d+)")
DRAWING = ("snakemake", "matplotlib", "pandas")
"""Packages that draw and arrange; those that compute are named in the files of the evaluations."""

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=False,  # Markdown; the page of HTML escapes by itself
    undefined=StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
)
"""The texts around what is shown, `*.j2` beside this module. `rules/results_page.smk` has them among its inputs."""


@dataclass(frozen=True)
class Caption:
    """Title of a figure or table, and sentences that explain it."""

    title: str
    text: str


def item_name(stem: str) -> str:
    """Return the name of a figure or table: "Figure C.12" for `figure_c12`; "" where the paper has no number for it."""
    numbered = NUMBERED.fullmatch(stem)
    if not numbered:
        return ""
    kind, appendix, number = numbered.groups()
    return f"{kind.capitalize()} {appendix.upper()}{'.' if appendix else ''}{number}"


def page_order(path: str | Path) -> tuple[int, str, int, str]:
    """Return the sort key of a figure or table: numbered ones first, by number, appendices last among them."""
    stem = Path(path).stem
    numbered = NUMBERED.fullmatch(stem)
    return (0, numbered[2], int(numbered[3]), stem) if numbered else (1, "", 0, stem)


def caption_file(stem: str, captions: str | Path) -> Path:
    """Return the path of the caption of a figure or table."""
    return Path(captions) / f"{stem}.rst"


def read_caption(stem: str, captions: str | Path) -> Caption:
    """Read the caption of a figure or table; without a file, its title is made of its name and its text is empty.

    Raises
    ------
    ValueError
        If the file does not begin with a title in bold.
    """
    path = caption_file(stem, captions)
    if not path.exists():
        return Caption(stem.replace("_", " ").capitalize(), "")
    found = re.fullmatch(r"\*\*(.+?)\.\*\*\s*(.*)", path.read_text(encoding="utf-8").strip(), flags=re.DOTALL)
    if not found:
        raise ValueError(f"{path} must be one paragraph that begins with a title in bold: **Title.** Text.")
    return Caption(found[1], " ".join(found[2].split()))


def heading(stem: str, captions: str | Path) -> str:
    """Return the number, if there is one, and the title: "Figure 1: R-RMSE"."""
    name, title = item_name(stem), read_caption(stem, captions).title
    return f"{name}: {title}" if name else title


def menu_label(stem: str, captions: str | Path) -> str:
    """Return the heading, with single digits set apart by the width of another one: browsers sort 2 before 10."""
    return re.sub(r"^(Figure|Table) (?=\d:)", "\\1 \u2007", heading(stem, captions))


def run_times(benchmarks: str | Path) -> pd.DataFrame:
    """Sum the measurements of Snakemake in the folder `benchmarks`.

    Returns
    -------
    DataFrame
        A row for each rule, slowest first: rule, jobs, sum (seconds) and largest (longest) wall time in seconds, and
        the largest memory of a job in MB.
    """
    folder = Path(benchmarks)
    rows = [
        {"rule": path.relative_to(folder).with_suffix("").parts[0], **pd.read_csv(path, sep="\t").iloc[-1]}
        for path in sorted(folder.rglob("*.tsv"))
    ]
    jobs = pd.DataFrame(rows, columns=["rule", "s", "max_rss"])
    jobs[["s", "max_rss"]] = jobs[["s", "max_rss"]].apply(pd.to_numeric, errors="coerce")
    table = jobs.groupby("rule").agg(
        jobs=("s", "size"), seconds=("s", "sum"), longest=("s", "max"), memory=("max_rss", "max")
    )
    return table.sort_values("seconds", ascending=False).reset_index()


def versions(evaluations: Iterable[str | Path]) -> pd.DataFrame:
    """Gather commit and package versions.

    Returns
    -------
    DataFrame
        Columns name, evaluations (as the files at `evaluations` state, all values if they differ) and page (installed
        where the page is made).
    """
    found: list[dict[str, str]] = []
    for path in evaluations:
        with xr.open_dataset(path) as dataset:
            found.append({"commit": dataset.attrs["commit"], **json.loads(dataset.attrs["versions"])})
    used = {name: ", ".join(sorted(values.dropna().unique())) for name, values in pd.DataFrame(found).items()}
    here = {name: metadata.version(name) for name in DRAWING if find_spec(name)}
    rows = [(name, used.get(name), here.get(name)) for name in {**used, **here}]
    return pd.DataFrame(rows, columns=["name", "evaluations", "page"])


def config_page(path: str | Path) -> str:
    """Return the config at `path` as Markdown."""
    return f"# Config\n\n```yaml\n{Path(path).read_text(encoding='utf-8').strip()}\n```\n"


def versions_page(table: pd.DataFrame) -> str:
    """Return the table of `versions` as Markdown."""
    return markdown_table(table, title="Versions")


def run_times_page(table: pd.DataFrame) -> str:
    """Return the table of `run_times` as Markdown, with the sum."""
    columns = {"seconds": "sum, s", "longest": "longest job, s", "memory": "most memory, MB"}
    note = f"{int(table['jobs'].sum())} jobs, together {table['seconds'].sum() / 60:.1f} minutes."
    return markdown_table(table.rename(columns=columns), title="Run times", notes=[note])


def html_page(markdown: str) -> str:
    """Return a page of Markdown as a page of HTML that needs no other file. Its title is the first heading."""
    title = re.search(r"^# (.+)$", markdown, flags=re.MULTILINE)
    body = mistune.create_markdown(plugins=["table"])(markdown)
    return TEMPLATES.get_template("table.html.j2").render(title=title[1] if title else "", body=body)


def results_page(*, scale: str, figures: Sequence[str | Path], pages: Mapping[str, str], captions: str | Path) -> str:
    """Return the results page as Markdown.

    Parameters
    ----------
    scale : str
    figures : sequence of path
        Pictures in the folder `figures` beside the page.
    pages : mapping of str to str
        Markdown of warnings and claims, which come before the figures, and of the rest, in the order of the page, by
        the stems of their files.
    captions : path
        Folder of captions.
    """
    page = TEMPLATES.get_template("results_page.md.j2").render(
        scale=scale,
        figures=sorted(map(Path, figures), key=page_order),
        # The heading of a page is replaced by that of its caption, those within are one level lower.
        pages=[(stem, re.sub(r"\A# .+\n+", "", markdown)) for stem, markdown in pages.items()],
        heading=partial(heading, captions=captions),
        caption=partial(read_caption, captions=captions),
    )
    return page.rstrip() + "\n"
