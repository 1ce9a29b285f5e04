"""Learned filters that come with the package, by their experiments."""

import json

import pandas as pd

from mnmef.core.errors import positive_number, unknown_name
from mnmef.core.shipped import SHIPPED
from mnmef.filters.learned import LearnedFilter
from mnmef.learning.checkpoints import load_checkpoint, served_levels

SHIPPED_WEIGHTS = SHIPPED / "resources/weights"
"""Folder with a folder `<experiment>_<sigma_y>` of checkpoints and their cards for each cell."""


def shipped_weights() -> pd.DataFrame:
    """List the weights that come with the package.

    Returns
    -------
    DataFrame
        A row for each checkpoint: experiment, filter, sigma_y, lowest_sigma_y and highest_sigma_y, the noise levels of
        the training and of those that it serves (state units); tuned_members, the N of its fine-tuning,
        0 for all; members and rrmse, the score on the tuning split at so many; path.
    """
    cards = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted(SHIPPED_WEIGHTS.glob("*/*.json"))}
    rows = [
        {
            **{key: card[key] for key in ("experiment", "filter", "sigma_y")},
            **dict(zip(("lowest_sigma_y", "highest_sigma_y"), served_levels(card), strict=True)),
            "tuned_members": card["training"]["ensemble_size"] if card["training"]["heads_only"] else 0,
            "members": card["tuning_split"]["ensemble_size"],
            "rrmse": card["tuning_split"]["rrmse"],
            "path": path.with_suffix(".safetensors"),
        }
        for path, card in cards.items()
    ]
    return pd.DataFrame(rows).sort_values(["experiment", "filter", "sigma_y", "tuned_members"], ignore_index=True)


def load(
    experiment: str, *, filter: str | None = None, sigma_y: float = 1.0, ensemble_size: int | None = None
) -> LearnedFilter:
    """Load a learned filter that comes with the package.

    Parameters
    ----------
    experiment : str
        The experiment that it was trained on; a wrong name lists those that there are.
    filter : str, optional
        The learned filter, such as "mnmef". By default the one with the smallest R-RMSE on the tuning split.
    sigma_y : float
        A noise level that it serves, state units.
    ensemble_size : int, optional
        Number of members N that it will run with: weights fine-tuned for it are taken if there are some. Others serve
        all N.

    Returns
    -------
    LearnedFilter
        On the CPU; its `experiment` is the one that it was trained on.

    Raises
    ------
    ValueError
        If there is none such, with the list of what there is.
    """
    table, sigma_y = shipped_weights(), positive_number("sigma_y", sigma_y)
    for key, value in {"experiment": experiment, "sigma_y": sigma_y, "filter": filter}.items():
        served = table[key] == value
        if key == "sigma_y":
            served |= (table["lowest_sigma_y"] <= value) & (value <= table["highest_sigma_y"])
        found = table if value is None else table[served]
        if found.empty:
            raise ValueError(unknown_name(f"{key} of the weights that come with mnmef", value, table[key].unique()))
        table = found
    whole = table[table["tuned_members"] == 0]
    best = whole.loc[whole["rrmse"].idxmin()]
    tuned = table[(table["filter"] == best["filter"]) & (table["tuned_members"] == (ensemble_size or 0))]
    return load_checkpoint(best["path"] if tuned.empty else tuned["path"].iloc[0], sigma_y=sigma_y)
