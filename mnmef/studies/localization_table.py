"""The table of figure 10: learned localization weights against distance, beside the taper of the tuned LETKF."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr


def localization_table(runs: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Average the learned weights over cycles and trajectories.

    Parameters
    ----------
    runs : sequence of Dataset
        Records of `mnmef.studies.localization.record_weights`, one for each noise level.

    Returns
    -------
    DataFrame
        A row for each noise level, ensemble size and distance (grid points). weight_mean, weight_std: over cycles and
        trajectories together (divisor n - 1); n_analyses: their number. taper, radius: of LETKF, radius in grid points.
    """
    parts = []
    for run in runs:
        for size in run["ensemble_size"].values:
            part = run.sel(ensemble_size=size)
            weights = part["weight"].values.astype(float).reshape(-1, part.sizes["distance"])
            weights = weights[np.isfinite(weights).all(1)]
            columns = {
                "sigma_y": float(run.attrs["sigma_y"]),
                "ensemble_size": int(size),
                "distance": part["distance"].values,
                "weight_mean": weights.mean(0) if len(weights) else np.nan,
                "weight_std": weights.std(0, ddof=1) if len(weights) > 1 else np.nan,
                "taper": part["taper"].values,
                "radius": float(part["radius"]),
                "n_analyses": len(weights),
            }
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts).sort_values(["sigma_y", "ensemble_size", "distance"], ignore_index=True)
