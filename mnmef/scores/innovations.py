"""Innovation statistics: whether a filter errs as much as it says, judged by observations alone."""

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

LEVEL = 0.95


def innovation_table(run: xr.Dataset, burn_in: int = 0) -> pd.DataFrame:
    """Average innovations over cycles and observations, what is missing left out.

    Intervals are by batch means: cycles in a row depend on each other, but means over sqrt(K) long batches of them
    hardly do.

    Parameters
    ----------
    run : Dataset
        With the variables of `mnmef.assimilation.innovations.Innovations.dataset`.
    burn_in : int
        Number of first cycles to leave out, in which a filter finds the truth.

    Returns
    -------
    DataFrame
        Rows `mean` (the bias), `variance` (about it) and `chi_square` (per degree of freedom); columns value,
        standard_error, low and high (95 % interval), and expected, the value of a filter whose model is right.
    """
    kept = run.isel(cycle=slice(burn_in, None))
    kept = kept.isel(cycle=np.flatnonzero(kept["chi_square"].notnull()))
    innovation, count = kept["innovation"], kept["innovation"].notnull().sum("observation").values
    total = count.sum()
    mean = float(innovation.sum()) / total if total else np.nan
    expected = float(kept["expected_variance"].sum()) / total if total else np.nan
    rows = {
        "mean": (innovation.sum("observation").values, 0.0),
        "variance": (((innovation - mean) ** 2).sum("observation").values, expected),
        "chi_square": (kept["chi_square"].values, 1.0),
    }
    columns = ["value", "standard_error", "low", "high", "expected"]
    values = [[*_ratio_with_interval(sums, count), right] for sums, right in rows.values()]
    return pd.DataFrame(values, index=pd.Index(rows, name="statistic"), columns=columns)


def _ratio_with_interval(sums: np.ndarray, count: np.ndarray) -> tuple[float, float, float, float]:
    """Return `sum(sums) / sum(count)` over cycles (K,), its standard error, and its interval by batch means."""
    batches = round(len(sums) ** 0.5)
    if batches < 2:
        return (float(sums.sum() / count.sum()) if len(sums) else np.nan, np.nan, np.nan, np.nan)
    starts = np.linspace(0, len(sums), batches, endpoint=False).astype(int)
    batch_sums, batch_counts = np.add.reduceat(sums, starts), np.add.reduceat(count, starts)
    ratio = float(sums.sum() / count.sum())
    error = float((batch_sums - ratio * batch_counts).std(ddof=1) / batch_counts.mean() / batches**0.5)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, batches - 1)) * error
    return ratio, error, ratio - reach, ratio + reach


def describe_innovations(table: pd.DataFrame) -> str:
    """Say in words what `innovation_table` shows."""
    chi, mean = table.loc["chi_square"], table.loc["mean"]
    if not np.isfinite(chi["low"]):
        return "There are too few cycles with observations to judge innovations."
    numbers = f"chi-square per degree of freedom is {chi['value']:.2f} ({chi['low']:.2f} to {chi['high']:.2f})"
    if chi["low"] > 1:
        text = f"Innovations are larger than expected: {numbers}; sigma_y or the forecast spread is too small."
    elif chi["high"] < 1:
        text = f"Innovations are smaller than expected: {numbers}; sigma_y or the forecast spread is too large."
    else:
        text = f"Innovations are as large as expected: {numbers}."
    if not mean["low"] <= 0 <= mean["high"]:
        text += f" They are biased: their mean is {mean['value']:.2g} ({mean['low']:.2g} to {mean['high']:.2g})."
    return text
