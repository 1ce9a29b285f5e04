"""The results page: every figure and table of a run with its caption, the claims, the config, versions and run times.

It comes as Markdown, `results/<scale>/README.md`, for hosts of code; and its tables come as small HTML pages, which
Snakemake's report embeds. Captions are `docs/captions/<name of the file>.rst`: one paragraph that begins with a title
in bold, plain enough to mean the same in reStructuredText and in Markdown.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import metadata
from pathlib import Path

import mistune
import pandas as pd
import xarray as xr

from mnmef.report.tables import markdown_table

DRAWING = ("snakemake", "matplotlib", "pandas")
"""Packages that draw and arrange; those that compute are named in the files of the evaluations."""

INTRODUCTION = (
    "Made by the pipeline from its own runs. What the paper publishes is beside our numbers: dashed in figures, in "
    "brackets or in a column of its own in tables."
)

STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 1.5em; color: #1e293b; }
table { border-collapse: collapse; }
th, td { padding: 0.3em 0.8em; border-bottom: 1px solid #cbd5e1; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #475569; }
li { max-width: 60em; }
pre { line-height: 1.35; }
"""


@dataclass(frozen=True)
class Caption:
    """What is said of a figure or table: a title, and sentences that explain it."""

    title: str
    text: str


def item_name(stem: str) -> str:
    """What a figure or table is called: "Figure C.12" for `figure_c12`; "" for what has no number in the paper."""
    numbered = re.fullmatch(r"(figure|table)_([a-z]?)(\d+)", stem)
    if not numbered:
        return ""
    kind, appendix, number = numbered.groups()
    return f"{kind.capitalize()} {appendix.upper()}{'.' if appendix else ''}{number}"


def page_order(path: str | Path) -> tuple[int, str, int, str]:
    """Sorts figures and tables: those with a number by it, appendices after the others, then those without one."""
    stem = Path(path).stem
    numbered = re.fullmatch(r"(?:figure|table)_([a-z]?)(\d+)", stem)
    return (0, numbered[1], int(numbered[2]), stem) if numbered else (1, "", 0, stem)


def caption_file(stem: str, captions: str | Path) -> Path:
    """Where the caption of a figure or table is."""
    return Path(captions) / f"{stem}.rst"


def read_caption(stem: str, captions: str | Path) -> Caption:
    """The caption of a figure or table; one without a file has a title made of its name, and no text.

    Raises `ValueError` if the file does not begin with a title in bold.
    """
    path = caption_file(stem, captions)
    if not path.exists():
        return Caption(stem.replace("_", " ").capitalize(), "")
    found = re.fullmatch(r"\*\*(.+?)\.\*\*\s*(.*)", path.read_text(encoding="utf-8").strip(), flags=re.DOTALL)
    if not found:
        raise ValueError(f"{path} must be one paragraph that begins with a title in bold: **Title.** Text.")
    return Caption(found[1], " ".join(found[2].split()))


def heading(stem: str, captions: str | Path) -> str:
    """Number, if there is one, and title: "Figure 1: R-RMSE, Lorenz '96"."""
    name, title = item_name(stem), read_caption(stem, captions).title
    return f"{name}: {title}" if name else title


def menu_label(stem: str, captions: str | Path) -> str:
    """The heading with single digits set apart by the width of another one, so that browsers sort 2 before 10."""
    return re.sub(r"^(Figure|Table) (?=\d:)", "\\1 \u2007", heading(stem, captions))


def run_times(benchmarks: str | Path) -> pd.DataFrame:
    """What Snakemake measured in the folder `benchmarks`: one row per rule, slowest first.

    Columns: rule, jobs, sum and largest wall time in seconds, and the largest memory of a job in MB.
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
    """Commit and package versions: columns name, evaluations (what the files at `evaluations` say) and page (what is
    installed where the page is made). Several values, from evaluations made at different times, are all named.
    """
    used: dict[str, set[str]] = {}
    for path in evaluations:
        with xr.open_dataset(path) as dataset:
            for name, version in {"commit": dataset.attrs["commit"], **json.loads(dataset.attrs["versions"])}.items():
                used.setdefault(name, set()).add(version)
    here = {name: metadata.version(name) for name in DRAWING if _is_installed(name)}
    return pd.DataFrame(
        [
            {"name": name, "evaluations": ", ".join(sorted(used.get(name, ()))) or None, "page": here.get(name)}
            for name in [*used, *here]
        ]
    )


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def config_page(path: str | Path) -> str:
    """The config at `path` as Markdown."""
    return f"# Config\n\n```yaml\n{Path(path).read_text(encoding='utf-8').strip()}\n```\n"


def versions_page(table: pd.DataFrame) -> str:
    """The table of `versions` as Markdown."""
    return markdown_table(table, title="Versions")


def run_times_page(table: pd.DataFrame) -> str:
    """The table of `run_times` as Markdown, with the sum."""
    columns = {"seconds": "sum, s", "longest": "longest job, s", "memory": "most memory, MB"}
    note = f"{int(table['jobs'].sum())} jobs, together {table['seconds'].sum() / 60:.1f} minutes."
    return markdown_table(table.rename(columns=columns), title="Run times", notes=[note])


def html_page(markdown: str) -> str:
    """A page of Markdown as a page of HTML that needs no other file. Its title is the first heading."""
    title = re.search(r"^# (.+)$", markdown, flags=re.MULTILINE)
    body = mistune.create_markdown(plugins=["table"])(markdown)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title[1] if title else "")}'
        f"</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def results_page(
    *, scale: str, figures: Sequence[str | Path], pages: Sequence[tuple[str, str]], captions: str | Path
) -> str:
    """The results page as Markdown.

    figures: pictures in the folder `figures` beside the page. pages: stem and Markdown of the claims, which come before
    the figures, and of what comes after them, in the order of the page. captions: the folder of captions.
    """
    first = [part for part in pages if part[0] == "claims"]
    rest = [part for part in pages if part[0] != "claims"]
    lines = [f"# Results at scale `{scale}`", "", INTRODUCTION, ""]
    for stem, markdown in first:
        lines += [_section(stem, markdown, captions)]
    for path in sorted(map(Path, figures), key=page_order):
        caption = read_caption(path.stem, captions)
        title = heading(path.stem, captions)
        lines += [f"## {title}", "", f"![{title}](figures/{path.name})", "", caption.text, ""]
    for stem, markdown in rest:
        lines += [_section(stem, markdown, captions)]
    return "\n".join(lines).rstrip() + "\n"


def _section(stem: str, markdown: str, captions: str | Path) -> str:
    """A page of Markdown as a section: its heading replaced by that of the caption, those within one level lower."""
    body = re.sub(r"\A# .+\n+", "", markdown)
    text = read_caption(stem, captions).text
    return f"## {heading(stem, captions)}\n\n" + (f"{text}\n\n" if text else "") + body
