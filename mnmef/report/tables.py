"""Tables of the paper: what they hold, and how they are written for people.

Every table comes twice: `tables/table_<number>.csv`, one row per fact, numbers at full precision, for programs; and
`tables/table_<number>.md`, rounded and arranged as in the paper, with a title and notes, for readers.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from mnmef.io.files import write_text
from mnmef.report.figures.style import LOOKS, SYSTEM_TITLES

MISSING = "-"

DEVIATION_NOTES = (
    """Ours: deviation over the test trajectories that did not diverge, then the mean over the ensemble sizes; the same
trajectories for all filters, no burn-in. A star: some trajectories diverged and are left out.""",
    """In brackets: the deviation over trials in the tables released with the paper's code, averaged over the same
ensemble sizes. These trials have truths of their own, and a burn-in is dropped. The tables have neither MNMEF nor the
localized EnKF.""",
    """Table 4 as printed has two rows exchanged. The numbers in brackets are not read off it but looked up by filter in
the released tables.""",
)
"""What a reader of table 4 has to know."""


def markdown_table(table: pd.DataFrame, *, title: str, notes: Sequence[str] = (), digits: int = 3) -> str:
    """`table` as a page of Markdown: `title` as heading, columns as they are, `notes` as a list below.

    Floats have `digits` significant digits; what is missing is a dash. Text columns are written as they are.
    """
    cells = table.astype(object)
    for column in cells.columns:
        cells[column] = [_cell(value, digits) for value in table[column]]
    numeric = [pd.api.types.is_numeric_dtype(table[column]) for column in table.columns]
    body = tabulate(
        cells.to_numpy().tolist(),
        headers=list(map(str, cells.columns)),
        tablefmt="github",
        disable_numparse=True,
        colalign=["right" if right else "left" for right in numeric] if len(cells) else None,
    )
    below = "".join(f"- {' '.join(note.split())}\n" for note in notes)
    return f"# {title}\n\n{body}\n" + (f"\n{below}" if notes else "")


def write_markdown(
    table: pd.DataFrame, path: str | Path, *, title: str, notes: Sequence[str] = (), digits: int = 3
) -> None:
    """Write what `markdown_table` makes of `table` to `path`, atomically."""
    write_text(markdown_table(table, title=title, notes=notes, digits=digits), path)


def _cell(value: object, digits: int) -> str:
    if value is None or value is pd.NA or value != value:
        return MISSING
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return str(value).replace("|", "\\|")


def deviation_table(scores: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """Table 4: how much R-RMSE differs between test trajectories, for each system, noise level and filter.

    scores: the table of `mnmef.scores.scoring`. searches: the released search tables.
    rrmse_std: standard deviation (divisor T - 1) over the trajectories that did not diverge, then the plain mean over
    the n_sizes ensemble sizes at which at least two survived. n_diverged: trajectories that diverged, all sizes
    together. published: the same mean over the sizes that this run has, of the deviations over trials in the released
    tables, NaN where these have none.
    """
    keys = ["system", "sigma_y", "method"]
    usable = scores[scores["n_trajectories"] - scores["n_diverged"] >= 2]
    ours = usable.groupby(keys)["rrmse_std"].agg(rrmse_std="mean", n_sizes="count")
    ours["n_diverged"] = scores.groupby(keys)["n_diverged"].sum()
    released = searches[searches["ensemble_size"].isin(scores["ensemble_size"])]
    published = released.groupby(keys)["rrmse_std_over_trials"].mean().rename("published")
    table = scores[keys].drop_duplicates().join(ours, on=keys).join(published, on=keys)
    return table.sort_values(keys, ignore_index=True)


def deviation_page(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `deviation_table` as a page: a row for each filter, a column for each system and noise level, and in
    it ours with the published number in brackets.
    """
    page: dict[str, list[str]] = {"filter": []}
    methods = [method for method in LOOKS if method in set(table["method"])]
    page["filter"] = [LOOKS[method].label for method in methods]
    for system in [name for name in SYSTEM_TITLES if name in set(table["system"])]:
        for level in sorted(table["sigma_y"].unique(), reverse=True):
            part = table[(table["system"] == system) & (table["sigma_y"] == level)].set_index("method")
            page[f"{SYSTEM_TITLES[system]}, {level:g}"] = [_ours_and_published(part, method) for method in methods]
    return pd.DataFrame(page)


def _ours_and_published(part: pd.DataFrame, method: str) -> str:
    if method not in part.index:
        return MISSING
    row = part.loc[method]
    ours = _cell(float(row["rrmse_std"]), 2) + ("*" if row["n_diverged"] > 0 else "")
    return ours if pd.isna(row["published"]) else f"{ours} ({_cell(float(row['published']), 2)})"
