"""The robustness table: means over trajectories, and the page for readers."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mnmef.report.figures.style import LOOKS, SYSTEM_TITLES
from mnmef.report.tables import MISSING, markdown_table

KEYS = ["system", "condition", "value", "method"]

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


def summarize(scores: pd.DataFrame) -> pd.DataFrame:
    """Means and standard deviations (divisor T - 1) over the trajectories, a row per system, condition and method.

    scores: of `mnmef.studies.robustness.run_conditions`, of several filters. n_diverged and n_recovered of
    n_trajectories did; means are over the trajectories that have a number. ratio: rrmse over that of the same filter in
    the nominal condition.
    """
    groups = scores.groupby(KEYS, dropna=False, sort=False)
    table = groups.agg(
        rrmse=("rrmse", "mean"),
        rrmse_std=("rrmse", "std"),
        n_trajectories=("rrmse", "size"),
        n_scored=("rrmse", "count"),
        rrmse_end=("rrmse_end", "mean"),
        rrmse_after=("rrmse_after", "mean"),
        recovery_cycles=("recovery_cycles", "mean"),
        recovery_cycles_std=("recovery_cycles", "std"),
        n_recovered=("recovery_cycles", "count"),
    ).reset_index()
    table["n_diverged"] = table["n_trajectories"] - table.pop("n_scored")
    nominal = table[table["condition"] == "nominal"].set_index(["system", "method"])["rrmse"]
    keys = pd.MultiIndex.from_frame(table[["system", "method"]])
    table["ratio"] = table["rrmse"].to_numpy() / nominal.reindex(keys).to_numpy()
    return table


def robustness_page(table: pd.DataFrame, sizes: str) -> str:
    """The table of `summarize` as Markdown: R-RMSE of each condition (a row) and filter (a column), and recoveries.

    sizes: what the scores are of, such as "32 trajectories of 400 cycles, N = 10".
    """
    scores = markdown_table(_score_page(table), title=f"R-RMSE away from the training: {sizes}", notes=SCORE_NOTES)
    return scores + "\n" + markdown_table(_recovery_page(table), title="Recovery", notes=RECOVERY_NOTES)


def _score_page(table: pd.DataFrame) -> pd.DataFrame:
    methods = [method for method in LOOKS if method in set(table["method"])]
    rows = []
    for (system, condition, value), part in table.groupby(KEYS[:3], dropna=False, sort=False):
        cells = {row.method: _score(row) for row in part.itertuples()}
        named = {LOOKS[method].label: cells.get(method, MISSING) for method in methods}
        rows.append({"system": SYSTEM_TITLES[system], "condition": _label(condition, value), **named})
    return pd.DataFrame(rows)


def _recovery_page(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for row in table[table["recovery_cycles"].notna() | table["rrmse_end"].notna()].itertuples():
        rows.append(
            {
                "system": SYSTEM_TITLES[row.system],
                "condition": _label(row.condition, row.value),
                "filter": LOOKS[row.method].label,
                "end of the gap": row.rrmse_end,
                "after the gap": row.rrmse_after,
                "analyses": _spread(row.recovery_cycles, row.recovery_cycles_std, 1),
                "recovered": f"{row.n_recovered} of {row.n_trajectories}",
            }
        )
    return pd.DataFrame(rows, columns=_RECOVERY_COLUMNS)


_RECOVERY_COLUMNS: Sequence[str] = (
    *("system", "condition", "filter"),
    *("end of the gap", "after the gap", "analyses", "recovered"),
)


def _label(condition: str, value: float) -> str:
    return condition if pd.isna(value) else f"{condition}: {value:g}"


def _score(row: Any) -> str:
    lost = f" ({row.n_diverged} diverged)" if row.n_diverged else ""
    return _spread(row.rrmse, row.rrmse_std, 3) + lost


def _spread(mean: float, deviation: float, decimals: int) -> str:
    """Mean and deviation, as far as there are any."""
    if pd.isna(mean):
        return MISSING
    return f"{mean:.{decimals}f}" + ("" if pd.isna(deviation) else f" ± {deviation:.{decimals}f}")
