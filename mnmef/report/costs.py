"""Tables 5 and 6 of arXiv 2504.17836: parameters of the learned filters, and the time of their training.

Both are made from `weights.csv`, the list of checkpoints (`mnmef.learning.inventory`).
"""

from collections.abc import Sequence

import pandas as pd

from mnmef.report.figures.style import SYSTEM_TITLES
from mnmef.report.tables import MISSING

FILTER_TITLES = {"mnmef": "MNMEF", "mnmef_conv": "MNMEF (convolutions)"}
PRETRAINING, TUNING = "pretraining", "fine-tuning"
TIME_KEYS = ["system", "sigma_y", "filter"]

PARAMETER_NOTES: Sequence[str] = (
    """Fine-tuned are the heads; the set transformer is frozen. Counted in the checkpoints. MNMEF with convolutions is
not in the paper and is not fine-tuned: one training serves every N.""",
    """The identity in the pooling of the set transformer counts although it is never trained, as in the published
totals.""",
)
TIME_NOTES: Sequence[str] = (
    """Seconds are wall times of the optimization as the checkpoint's card has them, without simulation of its data.
Ratio: fine-tuning / pretraining.""",
    """Published, in brackets: on one RTX 4080 Super, for 1000 epochs of 8192 windows and 20 epochs of fine-tuning; ours
are the steps in the table.""",
)


def parameter_table(weights: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Table 5: parameters and tuned_parameters of each system and filter, their ratio `fraction`, the published numbers
    (missing where there are none).

    Raises `ValueError` if checkpoints of one filter and system differ in their numbers.
    """
    keys, numbers = ["system", "filter"], ["parameters", "tuned_parameters"]
    counts = weights[keys + numbers].drop_duplicates()
    if counts.duplicated(keys).any():
        raise ValueError(f"checkpoints of one filter have different numbers of parameters:\n{counts}")
    counts = counts.assign(fraction=counts["tuned_parameters"] / counts["parameters"])
    theirs = published.rename(columns={name: f"published_{name}" for name in numbers})
    table = counts.merge(theirs, on=keys, how="left")
    for name in numbers:
        table[f"published_{name}"] = table[f"published_{name}"].astype("Int64")
    return _in_order(table, keys)


def parameter_page(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `parameter_table` for readers, published numbers in brackets."""

    def both(ours: int, theirs: object) -> str:
        return f"{ours:,}" + ("" if pd.isna(theirs) else f" ({theirs:,})")

    rows = [
        {
            "system": SYSTEM_TITLES[row.system],
            "filter": FILTER_TITLES[row.filter],
            "parameters": both(row.parameters, row.published_parameters),
            "fine-tuned": both(row.tuned_parameters, row.published_tuned_parameters),
            "fraction": f"{row.fraction:.1%}",
        }
        for row in table.itertuples()
    ]
    return pd.DataFrame(rows)


def time_table(weights: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Table 6: a row for each training: seconds, ratio to the pretraining of the same cell (1 for itself), steps,
    batch, schedule, hardware; published_hours and published_ratio, NaN where there are none.
    """
    first = weights[weights["stage"] == PRETRAINING].set_index(TIME_KEYS)["seconds"].rename("first")
    table = weights.join(first, on=TIME_KEYS)
    table["ratio"] = table["seconds"] / table.pop("first")
    keys = ["system", "sigma_y", "stage", "ensemble_size"]
    theirs = published.rename(columns={"hours": "published_hours"}).assign(filter="mnmef")
    begun = theirs[theirs["stage"] == PRETRAINING].set_index(["system", "sigma_y"])["published_hours"].rename("first")
    theirs = theirs.join(begun, on=["system", "sigma_y"])
    theirs["published_ratio"] = theirs["published_hours"] / theirs.pop("first")
    table = table.merge(theirs, on=["filter", *keys], how="left")
    columns = [*TIME_KEYS, "stage", "ensemble_size", "seconds", "ratio", "published_hours", "published_ratio"]
    table = table[[*columns, "steps", "batch", "schedule", "hardware"]]
    return _in_order(table, ["system", "sigma_y", "filter", "stage", "ensemble_size"])


def time_page(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `time_table` for readers: a row for each training, published numbers in brackets."""

    def both(ours: float, theirs: float, form: str) -> str:
        return form.format(ours) + ("" if pd.isna(theirs) else f" ({form.format(theirs)})")

    rows = [
        {
            "system": SYSTEM_TITLES[row.system],
            "sigma_y": f"{row.sigma_y:g}",
            "filter": FILTER_TITLES[row.filter],
            "training": row.stage,
            "N": row.ensemble_size,
            "hours": both(row.seconds / 3600, row.published_hours, "{:.3g}"),
            "ratio": MISSING if row.stage == PRETRAINING else both(row.ratio, row.published_ratio, "{:.2%}"),
            "steps x batch": f"{row.steps} x {row.batch}",
            "hardware": row.hardware,
        }
        for row in table.itertuples()
    ]
    return pd.DataFrame(rows)


def _in_order(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sorted by `keys`, systems as in the figures, larger noise and pretraining first."""
    ranks = {
        "system": lambda values: values.map(list(SYSTEM_TITLES).index),
        "sigma_y": lambda values: -values,
        "stage": lambda values: values.map([PRETRAINING, TUNING].index),
    }
    return table.sort_values(
        keys, key=lambda values: ranks.get(str(values.name), lambda same: same)(values), ignore_index=True
    )
