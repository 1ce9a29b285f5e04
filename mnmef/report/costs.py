"""Tables 5 and 6 of arXiv 2504.17836: parameters of the learned filters, and the time of their training.

Both are made from `weights.csv`, the list of checkpoints (`mnmef.learning.inventory`).
"""

import pandas as pd

from mnmef.experiments.files import titles
from mnmef.report.tables import MISSING, with_published

FILTER_TITLES = {"mnmef": "MNMEF", "mnmef_conv": "MNMEF (convolutions)"}
PRETRAINED = "pretrained"
TIME_KEYS = ["experiment", "sigma_y", "filter"]


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
