"""What the checkpoints of a run are: their parameters, and what their training took."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mnmef.learning.checkpoints import read_card, read_tensors

STAGES = {False: "pretraining", True: "fine-tuning"}


def list_checkpoints(paths: Sequence[Path]) -> pd.DataFrame:
    """A row for each checkpoint, from its card and its tensors.

    system, sigma_y, filter, stage (pretraining or fine-tuning), ensemble_size of the training; parameters of the
    filter, tuned_parameters: those that fine-tuning changes, the heads' (0 for a filter that is not fine-tuned);
    seconds of training, its steps, batch and schedule; hardware that it ran on.
    """
    return pd.DataFrame([_describe(Path(path)) for path in paths])


def _describe(path: Path) -> dict[str, Any]:
    card, tensors = read_card(path), read_tensors(path)
    if "base" in card:  # heads alone
        tensors = read_tensors(path.with_name(card["base"])) | tensors
    sizes = {name: value.numel() for name, value in tensors.items()}
    training = card["training"]
    heads = sum(size for name, size in sizes.items() if not name.startswith("encoders."))
    return {
        "system": card["system"],
        "sigma_y": card["sigma_y"],
        "filter": card["filter"],
        "stage": STAGES[bool(training["heads_only"])],
        "ensemble_size": training["ensemble_size"],
        "parameters": sum(sizes.values()),
        "tuned_parameters": heads if card["filter"] == "mnmef" else 0,
        "seconds": card["seconds"],
        "steps": training["steps"],
        "batch": training["batch"],
        "schedule": training["schedule"],
        "hardware": card.get("hardware") or _build(card["versions"]),
    }


def _build(versions: dict[str, str]) -> str:
    """What the build of torch tells about the hardware, for a card that names none."""
    return "a CPU (not recorded which)" if versions.get("torch", "").endswith("+cpu") else "not recorded"
