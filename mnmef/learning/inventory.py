"""List of the checkpoints of a run: their parameters and the cost of their training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mnmef.learning.checkpoints import load_checkpoint, read_card


def list_checkpoints(paths: Sequence[Path]) -> pd.DataFrame:
    """Describe checkpoints by their cards and their tensors.

    Parameters
    ----------
    paths : sequence of Path
        The checkpoints.

    Returns
    -------
    DataFrame
        A row for each: experiment, sigma_y, filter, stage (pretrained or finetuned), ensemble_size of the training;
        parameters of the filter; finetuned_parameters, the number of those that fine-tuning changes (0 for a filter
        that is not fine-tuned); seconds of training, its steps, batch and schedule; hardware that it ran on.
    """
    return pd.DataFrame([_row(path) for path in paths])


def _row(path: Path) -> dict[str, Any]:
    card = read_card(path)
    training = card["training"]
    sizes = {name: value.numel() for name, value in load_checkpoint(path).state_dict().items()}
    heads = sum(size for name, size in sizes.items() if not name.startswith("encoders."))
    return {
        **{key: card[key] for key in ("experiment", "sigma_y", "filter")},
        "stage": "finetuned" if training["heads_only"] else "pretrained",
        "ensemble_size": training["ensemble_size"],
        "parameters": sum(sizes.values()),
        "finetuned_parameters": heads if card["filter"] == "mnmef" else 0,
        **{key: (card | training)[key] for key in ("seconds", "steps", "batch", "schedule", "hardware")},
    }
