"""The table of scores that the field knows."""

from collections.abc import Sequence

import pandas as pd

TOLERANCE = 0.05, 3.0, 0.2
"""Fraction of the expected score, and standard errors, whichever is larger, up to a larger fraction, so that no score
is reproduced by the scatter of its trajectories: within it a score is reproduced."""


def gather_canonical(parts: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return the rows of all experiments, the table that readers see, and notes below it."""
    table = pd.concat(parts, ignore_index=True)
    interval = [f"{low:.3g} to {high:.3g}" for low, high in zip(table["low"], table["high"], strict=True)]
    shown = pd.DataFrame(
        {
            "experiment": table["experiment"],
            "filter": table["method"]
            + table["options"].map(lambda text: f" ({text})" if text == text and text else ""),
            "N": table["ensemble_size"],
            "expected": table["expected"],
            "RMSE": table["rmse"],
            "95 %": interval,
            "reproduced": table["reproduced"].map({True: "yes", False: "**no**"}),
            "spread / error": table["spread_error_ratio"],
            "trajectories x cycles": [
                f"{t} x {k}" for t, k in zip(table["trajectories"], table["cycles"], strict=True)
            ],
            "seconds": table["seconds"],
            "DAPPER": table["rmse_dapper"],
            "ours there": table["rmse_same"],
            "times faster": table["times_faster"],
            "source": table["source"],
        }
    )
    remarks = table[table["remark"].fillna("") != ""]
    diverged = int(table["n_diverged"].sum())
    notes = [
        f"""{int(table["reproduced"].sum())} of {len(table)} expected scores are reproduced: the difference is at most
        {TOLERANCE[0]:.0%} of the expected score, which has two digits, or {TOLERANCE[1]:g} standard errors, whichever
        is larger, up to {TOLERANCE[2]:.0%}.""",
        """Expected: analysis RMSE, mean over time, from the comments at the end of the named module of DAPPER 1.7.1.
        RMSE: the same of the batched filters here, mean over trajectories that start independently on the attractor,
        after DAPPER's burn-in. inflation, localization_radius (grid points) and the others are in DAPPER's units.""",
        """DAPPER: its own run on the first trajectories, with the same truths, observations and first ensembles, and
        ours there. Times faster: seconds of DAPPER for a cycle and trajectory over those of the batched filter, both on
        one core. DAPPER localizes point by point here, as the batched filter does, and not in batches of points.""",
        f"{diverged} trajectories diverged." if diverged else "No trajectory diverged.",
        *(f"{x.experiment}, {x.method}, N {x.ensemble_size}, {x.options}: {x.remark}" for x in remarks.itertuples()),
    ]
    return table, shown, notes
