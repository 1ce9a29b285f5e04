"""The robustness table: means over trajectories, and the page for readers."""

import pandas as pd

from mnmef.core.names import METHODS
from mnmef.experiments.files import titles
from mnmef.report.tables import MISSING, markdown_table

CONDITION_KEYS = ["experiment", "condition", "value", "method"]

SCORE_NOTES = (
    """Mean ± standard deviation over trajectories, no burn-in. The weights of learned filters, and inflation and
    radius of LETKF, are those of the nominal condition in all rows.""",
    """sigma_y: the filter is told the level. forcing: F of the truth and of the filter's model; of the truth alone: the
    model keeps F = 8. climatological first ensemble: members drawn from the attractor. gap: cycles without
    observations in the middle of the run.""",
)
RECOVERY_NOTES = (
    """End of the gap, after the gap: relative error at its last cycle, R-RMSE of the cycles that follow it.""",
    """Analyses: until the error is first at most its mean over the nominal run of the same trajectory; mean ± standard
    deviation over the trajectories that get there.""",
)


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


def robustness_page(table: pd.DataFrame, sizes: str) -> str:
    """Return the table of `summarize_robustness` as Markdown, for readers.

    R-RMSE of each condition (a row) and filter (a column), and recoveries.

    Parameters
    ----------
    table : DataFrame
    sizes : str
        Size of the study, such as "32 trajectories of 400 cycles, N = 10".
    """
    scores = markdown_table(_score_page(table), title=f"R-RMSE away from the training: {sizes}", notes=SCORE_NOTES)
    return scores + "\n" + markdown_table(_recovery_page(table), title="Recovery", notes=RECOVERY_NOTES)


def _score_page(table: pd.DataFrame) -> pd.DataFrame:
    methods = [method for method in METHODS if method in set(table["method"])]
    rows = []
    for (experiment, condition, value), part in table.groupby(CONDITION_KEYS[:3], dropna=False, sort=False):
        cells = {
            row.method: _mean_and_deviation(row.rrmse, row.rrmse_std, 3)
            + (f" ({row.n_diverged} diverged)" if row.n_diverged else "")
            for row in part.itertuples()
        }
        named = {METHODS[method].label: cells.get(method, MISSING) for method in methods}
        rows.append({"experiment": titles()[experiment], "condition": _label(condition, value), **named})
    return pd.DataFrame(rows)


def _recovery_page(table: pd.DataFrame) -> pd.DataFrame:
    found = table[table["recovery_cycles"].notna() | table["rrmse_end"].notna()]
    rows = list(found.itertuples())
    return pd.DataFrame(
        {
            "experiment": found["experiment"].map(titles()),
            "condition": [_label(row.condition, row.value) for row in rows],
            "filter": [METHODS[row.method].label for row in rows],
            "end of the gap": found["rrmse_end"],
            "after the gap": found["rrmse_after"],
            "analyses": [_mean_and_deviation(row.recovery_cycles, row.recovery_cycles_std, 1) for row in rows],
            "recovered": [f"{row.n_recovered} of {row.n_trajectories}" for row in rows],
        }
    )


def _label(condition: str, value: float) -> str:
    return condition if pd.isna(value) else f"{condition}: {value:g}"


def _mean_and_deviation(mean: float, deviation: float, decimals: int) -> str:
    if pd.isna(mean):
        return MISSING
    return f"{mean:.{decimals}f}" + ("" if pd.isna(deviation) else f" ± {deviation:.{decimals}f}")
