"""The robustness table: means over trajectories, and the page for readers."""

from collections.abc import Mapping

import pandas as pd

from mnmef.core.names import METHODS
from mnmef.experiments.files import titles
from mnmef.report.tables import MISSING, table_page

CONDITION_KEYS = ["experiment", "condition", "value", "method"]


def summarize_robustness(scores: pd.DataFrame) -> pd.DataFrame:
    """Summarize scores over trajectories, a row for each experiment, condition and method.

    Parameters
    ----------
    scores : DataFrame
        Rows of `mnmef.studies.robustness.run_conditions`, of several filters.

    Returns
    -------
    DataFrame
        Means and standard deviations (divisor T - 1) over the trajectories that have a number; n_diverged and
        n_recovered of n_trajectories; ratio, rrmse over that of the same filter in the nominal condition.
    """
    table = (
        scores.groupby(CONDITION_KEYS, dropna=False, sort=False)
        .agg(
            rrmse=("rrmse", "mean"),
            rrmse_std=("rrmse", "std"),
            n_trajectories=("rrmse", "size"),
            n_scored=("rrmse", "count"),
            rrmse_end=("rrmse_end", "mean"),
            rrmse_after=("rrmse_after", "mean"),
            recovery_cycles=("recovery_cycles", "mean"),
            recovery_cycles_std=("recovery_cycles", "std"),
            n_recovered=("recovery_cycles", "count"),
        )
        .reset_index()
    )
    table["n_diverged"] = table["n_trajectories"] - table.pop("n_scored")
    nominal = table[table["condition"] == "nominal"].set_index(["experiment", "method"])["rrmse"].rename("nominal")
    return table.assign(ratio=table["rrmse"] / table.join(nominal, on=["experiment", "method"])["nominal"])


def robustness_page(table: pd.DataFrame, design: Mapping[str, object]) -> str:
    """Return the table of `summarize_robustness` as Markdown, for readers.

    R-RMSE of each condition (a row) and filter (a column), and recoveries.

    Parameters
    ----------
    table : DataFrame
    design : mapping
        Size of the study: trajectories, cycles and ensemble_size.
    """
    methods = {name: look.label for name, look in METHODS.items() if name in set(table["method"])}
    lost = table["n_diverged"].map(lambda count: f" ({count} diverged)" if count else "")
    shown = table.assign(
        experiment=table["experiment"].map(titles()),
        condition=table["condition"] + table["value"].map(lambda value: "" if pd.isna(value) else f": {value:g}"),
        filter=table["method"].map(methods),
        error=_means_and_deviations(table, "rrmse", 3) + lost,
        analyses=_means_and_deviations(table, "recovery_cycles", 1),
        recovered=table["n_recovered"].astype(str) + " of " + table["n_trajectories"].astype(str),
    )
    row = ["experiment", "condition"]
    errors = shown.pivot(index=row, columns="filter", values="error")[list(methods.values())]
    scores = shown[row].drop_duplicates().join(errors, on=row)
    found = shown[shown["recovery_cycles"].notna() | shown["rrmse_end"].notna()]
    found = found.rename(columns={"rrmse_end": "end of the gap", "rrmse_after": "after the gap"})
    recovery = found[[*row, "filter", "end of the gap", "after the gap", "analyses", "recovered"]]
    return table_page("robustness", scores, design) + "\n" + table_page("robustness_recovery", recovery)


def _means_and_deviations(table: pd.DataFrame, name: str, decimals: int) -> pd.Series:
    """Return a column and its standard deviation as text, a dash where there is no mean."""
    means, deviations = (table[column].map(f"{{:.{decimals}f}}".format) for column in (name, f"{name}_std"))
    texts = means + (" ± " + deviations).where(table[f"{name}_std"].notna(), "")
    return texts.where(table[name].notna(), MISSING)
