"""Tables of the paper, and how they are written for people.

Every table comes twice: `tables/table_<number>.csv`, one row per fact, numbers at full precision, for programs; and
`tables/table_<number>.md`, rounded and arranged as in the paper, with a title and notes, for readers. Tables 5 and 6
are made from `weights.csv`, the list of checkpoints (`mnmef.learning.inventory`).
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml
from tabulate import tabulate

from mnmef.core.names import LEARNED_FILTERS, METHODS
from mnmef.experiments.files import titles

MISSING = "-"
TEXTS = Path(__file__).with_suffix(".yaml")
"""Titles and notes of the tables; `rules/report.smk` has the file among its inputs."""
FILTER_TITLES = {"mnmef": "MNMEF"} | {name: METHODS[name].label for name in LEARNED_FILTERS if name != "mnmef"}
PRETRAINED = "pretrained"
TIME_KEYS = ["experiment", "sigma_y", "filter"]
PUBLISHED_NAMES = {"trained_infl": True, "no_infl": False, "ourFT": "heads", "fullFT": "all"}
"""Our inflation and parameters by their names in the tables of published numbers."""


def markdown_table(table: pd.DataFrame, *, title: str, notes: Sequence[str] = (), digits: int = 3) -> str:
    """Return a table as a page of Markdown.

    Parameters
    ----------
    table : DataFrame
        Columns as they are shown. Floats are rounded, missing values are a dash, texts are written as they are.
    title : str
        Heading.
    notes : sequence of str
        List below the table.
    digits : int
        Significant digits of floats.
    """
    numeric = [pd.api.types.is_numeric_dtype(table[column]) for column in table.columns]
    body = tabulate(
        list(zip(*([_cell(value, digits) for value in table[column]] for column in table.columns), strict=True)),
        headers=list(map(str, table.columns)),
        tablefmt="github",
        disable_numparse=True,
        colalign=["right" if right else "left" for right in numeric] if len(table) else None,
    )
    below = "".join(f"- {' '.join(note.split())}\n" for note in notes)
    return f"# {title}\n\n{body}\n" + (f"\n{below}" if notes else "")


def table_page(name: str, table: pd.DataFrame, values: Mapping[str, object] | None = None) -> str:
    """Return `markdown_table` with the title, `values` filled in, and the notes of `name` in `tables.yaml`."""
    text = yaml.safe_load(TEXTS.read_text(encoding="utf-8"))[name]
    return markdown_table(table, title=text["title"].format(**(values or {})), notes=text["notes"])


def _cell(value: object, digits: int) -> str:
    if value is None or value is pd.NA or value != value:
        return MISSING
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return str(value).replace("|", "\\|")


def with_published(ours: float, published: object, form: str) -> str:
    """Return our number in the format `form` (such as `{:.3g}`), and the published one in brackets if there is one."""
    return form.format(ours) + ("" if pd.isna(published) else f" ({form.format(published)})")


def with_our_names(published: pd.DataFrame) -> pd.DataFrame:
    """Return published numbers with our columns inflation (true or false) and parameters, where figures have them."""
    table = published.rename(columns={"variant": "inflation", "strategy": "parameters"})
    return table.assign(**{c: table[c].map(PUBLISHED_NAMES) for c in ("inflation", "parameters") if c in table})


def deviation_table(scores: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """Make table 4: the deviation of R-RMSE between test trajectories.

    Parameters
    ----------
    scores : DataFrame
        Table of `mnmef.scores.scoring`.
    searches : DataFrame
        The released search tables.

    Returns
    -------
    DataFrame
        A row for each experiment, noise level and method. rrmse_std: standard deviation (divisor T - 1) over the
        trajectories that did not diverge, then the plain mean over the n_sizes ensemble sizes at which at least two
        survived. n_diverged: trajectories that diverged, all sizes together. published: the same mean over the sizes
        that this run has, of the deviations over trials in the released tables, NaN where these have none.
    """
    keys = ["experiment", "sigma_y", "method"]
    usable = scores[scores["n_trajectories"] - scores["n_diverged"] >= 2]
    ours = usable.groupby(keys)["rrmse_std"].agg(rrmse_std="mean", n_sizes="count")
    ours["n_diverged"] = scores.groupby(keys)["n_diverged"].sum()
    released = searches[searches["ensemble_size"].isin(scores["ensemble_size"])]
    published = released.groupby(keys)["rrmse_std_over_trials"].mean().rename("published")
    table = scores[keys].drop_duplicates().join(ours, on=keys).join(published, on=keys)
    return table.sort_values(keys, ignore_index=True)


def deviation_page(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `deviation_table` for readers: a row per filter, a column per experiment and noise level."""
    cells = {}
    for row in table.itertuples():
        star = "*" if row.n_diverged > 0 else ""
        published = "" if pd.isna(row.published) else f" ({row.published:.2g})"
        cells[row.method, row.experiment, row.sigma_y] = f"{_cell(row.rrmse_std, 2)}{star}{published}"
    methods = [method for method in METHODS if method in set(table["method"])]
    experiments = [name for name in titles() if name in set(table["experiment"])]
    page = pd.DataFrame({"filter": [METHODS[method].label for method in methods]})
    for experiment, level in itertools.product(experiments, sorted(table["sigma_y"].unique(), reverse=True)):
        column = [cells.get((method, experiment, level), MISSING) for method in methods]
        page[f"{titles()[experiment]}, {level:g}"] = column
    return page


def parameter_table(weights: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Make table 5: the numbers of parameters of each experiment and filter.

    Parameters
    ----------
    weights, published : DataFrame
        The list of checkpoints, and the published table.

    Returns
    -------
    DataFrame
        parameters and finetuned_parameters, their ratio fraction, and the published numbers, missing where there are
        none.

    Raises
    ------
    ValueError
        If checkpoints of one filter and experiment differ in their numbers.
    """
    keys, numbers = ["experiment", "filter"], ["parameters", "finetuned_parameters"]
    counts = weights[keys + numbers].drop_duplicates()
    if counts.duplicated(keys).any():
        raise ValueError(f"checkpoints of one filter have different numbers of parameters:\n{counts}")
    counts = counts.assign(fraction=counts["finetuned_parameters"] / counts["parameters"])
    theirs = published.rename(columns={name: f"published_{name}" for name in numbers})
    table = counts.merge(theirs, on=keys, how="left")
    return _in_order(table.astype({f"published_{name}": "Int64" for name in numbers}), keys)


def parameter_page(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `parameter_table` for readers, published numbers in brackets."""
    rows = [
        {
            "experiment": titles()[row.experiment],
            "filter": FILTER_TITLES[row.filter],
            "parameters": with_published(row.parameters, row.published_parameters, "{:,}"),
            "fine-tuned": with_published(row.finetuned_parameters, row.published_finetuned_parameters, "{:,}"),
            "fraction": f"{row.fraction:.1%}",
        }
        for row in table.itertuples()
    ]
    return pd.DataFrame(rows)


def time_table(weights: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Make table 6: the time of each training.

    Parameters
    ----------
    weights, published : DataFrame
        The list of checkpoints, and the published table.

    Returns
    -------
    DataFrame
        seconds, their ratio to those of the pretraining in the same cell (1 for itself), steps, batch, schedule,
        hardware; published_hours and published_ratio, NaN where there are none.
    """
    table = weights.assign(ratio=_per_pretraining(weights, "seconds"))
    theirs = published.rename(columns={"hours": "published_hours"}).assign(filter="mnmef")
    theirs["published_ratio"] = _per_pretraining(theirs, "published_hours")
    keys = [*TIME_KEYS, "stage", "ensemble_size"]
    table = table.merge(theirs, on=keys, how="left")
    numbers = ["seconds", "ratio", "published_hours", "published_ratio"]
    return _in_order(table[[*keys, *numbers, "steps", "batch", "schedule", "hardware"]], keys)


def _per_pretraining(table: pd.DataFrame, column: str) -> pd.Series:
    """Return the ratio of `column` to its value in the pretraining of the same cell."""
    first = table[table["stage"] == PRETRAINED].set_index(TIME_KEYS)[column].rename("first")
    return table[column] / table.join(first, on=TIME_KEYS)["first"]


def time_page(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `time_table` for readers: a row for each training, published numbers in brackets."""
    rows = [
        {
            "experiment": titles()[row.experiment],
            "sigma_y": f"{row.sigma_y:g}",
            "filter": FILTER_TITLES[row.filter],
            "training": row.stage,
            "N": row.ensemble_size,
            "hours": with_published(row.seconds / 3600, row.published_hours, "{:.3g}"),
            "ratio": MISSING if row.stage == PRETRAINED else with_published(row.ratio, row.published_ratio, "{:.2%}"),
            "steps x batch": f"{row.steps} x {row.batch}",
            "hardware": row.hardware,
        }
        for row in table.itertuples()
    ]
    return pd.DataFrame(rows)


def _in_order(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sort by `keys`: experiments as in the figures, larger noise and pretraining first."""
    ranks = {name: place for place, name in enumerate([*titles(), PRETRAINED, "finetuned"])}

    def rank(values: pd.Series) -> pd.Series:
        return -values if values.name == "sigma_y" else values.map(lambda value: ranks.get(value, value))

    return table.sort_values(keys, key=rank, ignore_index=True)
