"""Train filters without the workflow: `python -m mnmef.fit [--scale S] [--minutes M] CELL ...`.

For a machine with a GPU that has torch, numpy, pandas, xarray, safetensors, tqdm and PyYAML, but no Snakemake, DAPPER
or netCDF4. A cell is `<system>_<sigma_y>` for a pretraining, `<system>_<sigma_y>_<N>` for a fine-tuning of its result,
`<system>_<sigma_y>_conv` for the filter `mnmef_conv`. The truths are simulated in memory: settings and seeds are those
of the workflow, and so is the result on the same machine. Files are those of the rules `train_filter` and
`finetune_filter`, below `--out`. A call that is stopped, or that ends at `--minutes` with exit status 75, is repeated
as it was: finished cells are skipped, the one under way goes on.

A pretraining begins with random weights, or with those of the checkpoint `--start` of the same filter and system: to go
on with other settings, or from one noise level to another.

To compare variants of a filter, `--set KEY=VALUE` changes a setting and `--score 5,10,20` prints the scores on the
tuning split at these ensemble sizes and writes them beside the weights; give each variant its own `--out`.
"""

import argparse
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr
import yaml

from mnmef.config.settings import assign, at_scale, for_system, training_settings
from mnmef.core.devices import default_device
from mnmef.core.errors import unknown_name
from mnmef.data.twin import simulate_training
from mnmef.io.files import write_table
from mnmef.learning.checkpoints import load_checkpoint, read_card
from mnmef.learning.fitting import finetune, load_start, pretrain
from mnmef.learning.selection import keep_better, tuning_score, tuning_split
from mnmef.learning.trainer import TimeLimitError

TO_BE_CONTINUED = 75
"""Exit status of a call that reached its time limit, EX_TEMPFAIL of sysexits.h."""


class Cell(NamedTuple):
    """What to train: stem is `pretrained`, `conv`, or `tuned_<N>` for a fine-tuning."""

    system: str
    sigma_y: float
    stem: str

    @classmethod
    def parse(cls, text: str, settings: Mapping[str, Any]) -> "Cell":
        """The cell named `text`. Raises `ValueError` if it is not one of the config's."""
        match = re.fullmatch(r"([a-z0-9]+)_(\d+(?:\.\d+)?)(?:_(\d+|conv))?", text)
        if match is None:
            raise ValueError(
                f"{text!r} names no cell; write lorenz96_1.0 to train, lorenz96_1.0_20 to fine-tune at N = 20"
            )
        system, sigma_y, what = match[1], float(match[2]), match[3]
        members = int(what) if what and what != "conv" else None
        for kind, value, known in (
            ("system", system, settings["systems"]),
            ("noise level", sigma_y, settings["noise_levels"]),
            ("ensemble size", members, [*settings["ensemble_sizes"], None]),
        ):
            if value not in known:
                raise ValueError(unknown_name(f"{kind} in cell {text}", value, [v for v in known if v is not None]))
        return cls(system, sigma_y, f"tuned_{members}" if members else what or "pretrained")

    @property
    def filter_name(self) -> str:
        """Which learned filter it is."""
        return "mnmef_conv" if self.stem == "conv" else "mnmef"

    def files(self, out: Path) -> tuple[Path, Path]:
        """Checkpoint and training curve below `out`."""
        folder = out / f"{self.system}_{self.sigma_y}"
        return folder / f"{self.stem}.safetensors", folder / f"{self.stem}_curve.csv"


def fit(
    cell: Cell,
    truths: xr.Dataset,
    settings: Mapping[str, Any],
    out: Path,
    *,
    minutes: float | None = None,
    start: Path | None = None,
) -> None:
    """Train `cell`, from the weights `start` if given, or fine-tune it on `truths`, and write its files; raises
    `TimeLimitError` after `minutes`.
    """
    weights, curve = cell.files(out)
    options = training_settings(settings, cell.system, cell.filter_name)
    pace = {"checkpoint_seconds": settings["training"]["checkpoint_seconds"], "time_limit": minutes}
    options["training"] = options["training"] | pace
    options |= {"weights": weights, "resume_folder": weights.parent / "resume"}
    if cell.stem.startswith("tuned"):
        pretrained, members = weights.with_name("pretrained.safetensors"), int(cell.stem.removeprefix("tuned_"))
        options |= {"pretrained": pretrained, "finetuning": for_system(settings["finetuning"], cell.system)}
        table = finetune(truths, cell.sigma_y, members, **options)
        if settings["finetuning"]["keep"] == "better":
            keep_better(weights, pretrained, tuning_split(cell.system, settings), members, settings["seed"])
    else:
        table = pretrain(truths, cell.sigma_y, start=start, **options)
    write_table(table, curve)


def score(cell: Cell, sizes: Sequence[int], settings: Mapping[str, Any], out: Path) -> pd.DataFrame:
    """Scores of the trained filter of `cell` on the tuning split, one row per ensemble size; see `tuning_score`."""
    weights, _ = cell.files(out)
    split = tuning_split(cell.system, settings)
    filter_ = load_checkpoint(weights, system=cell.system, sigma_y=cell.sigma_y)
    table = pd.DataFrame([tuning_score(filter_, split, members, settings["seed"]) for members in sizes])
    table.insert(0, "seconds", read_card(weights)["seconds"])
    write_table(table, weights.with_name(f"{cell.stem}_scores.csv"))
    return table


def changed(settings: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """`settings` after `KEY=VALUE` assignments, values in YAML. Raises `ValueError` for what is no such key."""
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set {text}: write KEY=VALUE, such as training.steps=2000")
        settings = assign(settings, path, _parse(value))
    return dict(settings)


def _parse(value: str) -> Any:
    """A value in YAML; but 1e-3, a text in YAML, is a number here."""
    parsed = yaml.safe_load(value)
    try:
        return float(parsed) if isinstance(parsed, str) else parsed
    except ValueError:
        return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the cells in the order given, pretrainings first; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m mnmef.fit", description="Train filters without the workflow.")
    parser.add_argument("cells", nargs="+", metavar="CELL", help="lorenz96_1.0 to train, lorenz96_1.0_20 to fine-tune")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="settings (default: %(default)s)")
    parser.add_argument("--scale", help="overlay of the config (default: the one that it names)")
    parser.add_argument("--out", type=Path, help="folder for the weights (default: results/SCALE/training)")
    parser.add_argument(
        "--minutes", type=float, help="wall minutes after which to stop, to be continued by another call"
    )
    parser.add_argument("--start", type=Path, metavar="FILE", help="weights to begin a pretraining with")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--score", metavar="N,N,...", help="ensemble sizes to score at on the tuning split")
    given = parser.parse_args(arguments)
    deadline = None if given.minutes is None else time.monotonic() + 60 * given.minutes
    try:
        settings = at_scale(yaml.safe_load(given.config.read_text(encoding="utf-8")), given.scale)
        settings = changed(settings, given.set)
        sizes = [int(size) for size in given.score.split(",")] if given.score else []
        cells = sorted(
            {Cell.parse(text, settings) for text in given.cells}, key=lambda c: (c.stem.startswith("tuned"), c)
        )
        for cell in cells if given.start else []:
            if not cell.stem.startswith("tuned"):
                model = training_settings(settings, cell.system, cell.filter_name)["model"]
                load_start(given.start, cell.filter_name, cell.system, model)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    out = given.out or Path(f"results/{settings['scale']}/training")
    split, truths = settings["data"]["train"], {}
    print(f"Training on {default_device()}, weights to {out}", flush=True)
    for cell in cells:
        if all(file.exists() for file in cell.files(out)):
            print(f"{cell.files(out)[0]} is there already", flush=True)
            continue
        if cell.system not in truths:
            section = for_system(split, cell.system)
            segment = section["window_cycles"] + section["offset_cycles"]
            truths = {cell.system: simulate_training(cell.system, section["windows"], segment, settings["seed"])}
        left = None if deadline is None else max(0.0, (deadline - time.monotonic()) / 60)
        try:
            fit(cell, truths[cell.system], settings, out, minutes=left, start=given.start)
        except TimeLimitError as pause:
            print(pause, file=sys.stderr)
            return TO_BE_CONTINUED
    for cell in cells if sizes else []:
        print(f"{cell.files(out)[0]} on the tuning split:\n{score(cell, sizes, settings, out).to_string(index=False)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
