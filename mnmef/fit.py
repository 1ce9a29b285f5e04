"""Train filters without the workflow: `mnmef fit [--scale S] [--minutes M] CELL ...`, or `python -m mnmef.fit`.

For a machine with a GPU that has torch, numpy, pandas, xarray, safetensors, tqdm and PyYAML, but no Snakemake, DAPPER
or netCDF4. A cell is `<experiment>_<sigma_y>` for a pretraining, `<experiment>_<sigma_y>_<N>` for a fine-tuning of its
result; `--filter` says of which filter. The truths are simulated in memory: settings and seeds are those of the
workflow, and so is the result on the same machine. Files are those of the rules `train_filter` and `finetune_filter`,
below `--out`. A call that is stopped, or that ends at `--minutes` with exit status 75, is repeated as it was: finished
cells are skipped, the one under way goes on.

A pretraining begins with random weights, with those of another noise level (`training.continued`), or with those of
the checkpoint `--start` of the same filter: to go on with other settings, or from one error of the model to another.

To compare variants of a filter, `--set KEY=VALUE` changes a setting and `--score 5,10,20` prints the scores on the
tuning split at these ensemble sizes and writes them beside the weights; give each variant its own `--out`. A call that
ends at `--minutes` scores the weights reached, a row more of the file of scores: a learning curve.
"""

import argparse
import math
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr
import yaml

from mnmef.config.settings import Settings, assign, at_scale, check_keys, first_level, layers, training_settings
from mnmef.core.devices import default_device
from mnmef.core.errors import unknown_name, whole_number
from mnmef.core.names import LEARNED_FILTERS, METHODS
from mnmef.core.shipped import SHIPPED
from mnmef.data.splits import make_split
from mnmef.experiments.load import load_experiment
from mnmef.filters.learned import initial_filter
from mnmef.io.files import check_folder, write_table
from mnmef.io.strict_yaml import read_yaml
from mnmef.learning.checkpoints import load_checkpoint, read_card
from mnmef.learning.fitting import Recipe, finetune, finetuning_options, pretrain, pretraining_options, starting_weights
from mnmef.learning.selection import keep_better, tuning_score
from mnmef.learning.training import TimeLimitError

TO_BE_CONTINUED = 75
"""Exit status of a call that reached its time limit, EX_TEMPFAIL of sysexits.h."""

TRAINED = ("data", "model", "training", "finetuning", *LEARNED_FILTERS)
"""Sections of the settings that a training reads, and whose keys are looked at."""

FINETUNED_FILTERS = {method.filter for method in METHODS.values() if method.stage == "finetuned"}


class TrainingCell(NamedTuple):
    """A pretraining, or a fine-tuning at N = `members` where `members` is not 0."""

    members: int
    experiment: str
    sigma_y: float
    filter: str

    @classmethod
    def parse(cls, text: str, filter_name: str, settings: Settings) -> "TrainingCell":
        """Read the cell named `text`. Raises `ValueError` if it is not one of the config's."""
        match = re.fullmatch(r"(\w+)_(\d+(?:\.\d+)?)(?:_(\d+))?", text)
        if match is None:
            raise ValueError(
                f"{text!r} names no cell; write EXPERIMENT_1.0 to train, EXPERIMENT_1.0_20 to fine-tune at N = 20"
            )
        cell = cls(int(match[3] or 0), match[1], float(match[2]), filter_name)
        for kind, value, known in (
            ("experiment", cell.experiment, settings["experiments"]),
            ("noise level", cell.sigma_y, settings["noise_levels"]),
            ("ensemble size", cell.members or None, [*settings["ensemble_sizes"], None]),
            ("learned filter", filter_name, LEARNED_FILTERS),
        ):
            if value not in known:
                raise ValueError(unknown_name(f"{kind} in cell {text}", value, filter(None, known)))
        if cell.members and filter_name not in FINETUNED_FILTERS:
            raise ValueError(f"cell {text} is a fine-tuning, but {filter_name} is not fine-tuned")
        return cell

    def first(self, settings: Settings) -> "TrainingCell | None":
        """Return the cell whose weights this one begins with, None for random ones."""
        if self.members:
            return self._replace(members=0)
        level = first_level(settings, self.sigma_y)
        return None if level is None else self._replace(sigma_y=level)

    def file(self, out: Path, end: str) -> Path:
        """Return the file of this cell below `out` whose name ends so."""
        stem = f"{self.filter}_finetuned_{self.members}" if self.members else f"{self.filter}_pretrained"
        return out / f"{self.experiment}_{self.sigma_y}" / f"{stem}{end}"


def merged_settings(
    raw: Settings, scale: str | None, assignments: Sequence[str], experiment: str | None = None
) -> dict[str, Any]:
    """Merge the settings of an experiment.

    Parameters
    ----------
    raw : mapping
        The content of config.yaml.
    scale : str or None
        Overlay in use, by default the one that config.yaml names.
    assignments : sequence of str
        Changes on top, such as `training.steps=2000`.
    experiment : str or None
        Without it, the settings that all experiments have in common.

    Raises
    ------
    ValueError
        For an unknown key in an overlay or an assignment, naming the nearest.
    """
    settings = at_scale(raw, scale, experiment)
    known, *overlays = layers(raw, settings["scale"], experiment)
    for each in overlays:
        check_keys({key: value if key in TRAINED else None for key, value in each.items()}, known)
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set {text}: write KEY=VALUE, such as training.steps=2000")
        settings = assign(settings, path, _parse(value))
    return settings


def _parse(value: str) -> Any:
    """Read a value in YAML; but 1e-3, a text in YAML, is a number here."""
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ValueError(f"--set ...={value} is no YAML; quote what has colons, braces or brackets") from None
    try:
        return float(parsed) if isinstance(parsed, str) else parsed
    except ValueError:
        return parsed


def fit(cell: TrainingCell, truths: xr.Dataset, settings: Settings, out: Path, start: Path | None = None) -> None:
    """Train or fine-tune `cell` and write its files.

    Parameters
    ----------
    cell : TrainingCell
        Training to run.
    truths : Dataset
        Training split of its experiment.
    settings : mapping
        Merged for its experiment.
    out : Path
        Folder for the files.
    start : Path or None
        Weights to begin a pretraining with, instead of random ones.

    Raises
    ------
    TimeLimitError
        After `training.time_limit` minutes of the settings; the same call goes on.
    """
    weights, recipe, first = cell.file(out, ".safetensors"), _recipe(cell, settings, out), cell.first(settings)
    if cell.members and first is not None:
        pretrained = first.file(out, ".safetensors")
        table = finetune(truths, cell.sigma_y, cell.members, recipe, pretrained=pretrained, weights=weights)
        if settings["finetuning"]["keep"] == "better":
            split = make_split(load_experiment(cell.experiment), "tune", settings)
            keep_better(weights, pretrained, split, cell.members, recipe.seed, settings["finetuning"]["keep_cycles"])
    else:
        begun = None if first is None else first.file(out, ".safetensors")
        table = pretrain(truths, cell.sigma_y, recipe, weights, start or begun)
    write_table(table, cell.file(out, "_curve.csv"))


def _recipe(cell: TrainingCell, settings: Settings, out: Path) -> Recipe:
    """Return the recipe of a training."""
    own = {"finetuning": settings["finetuning"], "resume_folder": cell.file(out, "").parent / "resume"}
    return Recipe.from_settings(training_settings(settings, cell.filter, cell.sigma_y) | own, settings["training"])


def _check(cell: TrainingCell, cells: Sequence[TrainingCell], settings: Settings, out: Path) -> None:
    """Raise `ValueError` for what a training of one of `cells` would fail at after its truths are simulated."""
    recipe, windows = _recipe(cell, settings, out), settings["data"]["train"]["windows"]
    for name in ("windows", "window_cycles"):
        whole_number(f"data.train.{name}", settings["data"]["train"][name], 1)
    size = (windows, recipe.window_cycles, whole_number("seed", recipe.seed, 0))
    initial_filter(load_experiment(cell.experiment), cell.sigma_y, recipe.model, recipe.seed, name=cell.filter)
    pretraining_options(recipe.training, *size)
    if cell.members:
        finetuning_options(recipe.training, settings["finetuning"], cell.members, *size)
    first = cell.first(settings)
    if first is not None and first not in cells and not first.file(out, ".safetensors").exists():
        kind = f"the fine-tuning at N = {cell.members}" if cell.members else f"the training at sigma_y = {cell.sigma_y}"
        raise ValueError(
            f"{first.file(out, '.safetensors')}, which {kind} begins with, is not there: "
            f"name {first.experiment}_{first.sigma_y} among the cells as well"
        )


def _sizes(text: str) -> list[int]:
    """Read the ensemble sizes after `--score`."""
    if not re.fullmatch(r"\d+(,\d+)*", text) or min(map(int, text.split(","))) < 2:
        raise ValueError(f"--score {text}: must be numbers of members of at least 2, such as 5,10,20")
    return [int(size) for size in text.split(",")]


def score(
    cell: TrainingCell, sizes: Sequence[int], settings: Settings, out: Path, pause: TimeLimitError | None = None
) -> None:
    """Score the filter of `cell` on the tuning split, one row per ensemble size; see `tuning_score`.

    The filter is the trained one or, at a `pause` of its training, the one reached. Rows are added to the scores of the
    pauses before, with the optimizer steps that each had taken.
    """
    weights, file = cell.file(out, ".safetensors"), cell.file(out, "_scores.csv")
    split = make_split(load_experiment(cell.experiment), "tune", settings)
    if pause is None:
        filter_ = load_checkpoint(weights, experiment=cell.experiment, sigma_y=cell.sigma_y)
        steps, seconds = read_card(weights)["training"]["steps"], read_card(weights)["seconds"]
    else:
        filter_, steps, seconds = pause.trainer.filter, pause.trainer.step_number, pause.trainer.seconds
    table = pd.DataFrame([tuning_score(filter_, split, members, settings["seed"]) for members in sizes])
    table.insert(0, "seconds", seconds)
    table.insert(0, "steps", steps)
    before = pd.read_csv(file) if file.exists() else table
    write_table(pd.concat([before[before["steps"] < steps], table]), file)
    print(f"{cell.file(out, '')} after {steps} steps, on the tuning split:\n{table.to_string(index=False)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mnmef fit", description="Train filters without the workflow.")
    parser.add_argument("cells", nargs="+", metavar="CELL", help="EXPERIMENT_1.0 to train, or _1.0_20 to fine-tune")
    parser.add_argument("--filter", default="mnmef", help="learned filter (default: %(default)s)")
    parser.add_argument("--config", type=Path, default=SHIPPED / "config.yaml", help="settings (default: %(default)s)")
    parser.add_argument("--scale", help="overlay of the config (default: the one that it names)")
    parser.add_argument("--out", type=Path, help="folder for the weights (default: results/SCALE/training)")
    parser.add_argument("--minutes", type=float, help="wall minutes after which to stop, for another call to go on")
    parser.add_argument("--start", type=Path, metavar="FILE", help="weights to begin a pretraining with")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--score", metavar="N,N,...", help="ensemble sizes to score at on the tuning split")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the cells in the order given, pretrainings first; return the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    deadline = None if given.minutes is None else time.monotonic() + 60 * given.minutes
    try:
        raw = read_yaml(given.config)
        changes = given.set + (["training.continued.sigma_y=null"] if given.start else [])
        common = merged_settings(raw, given.scale, changes)
        sizes = _sizes(given.score) if given.score is not None else []
        if given.minutes is not None and not 0 <= given.minutes < math.inf:
            raise ValueError(f"--minutes {given.minutes}: must be a number of at least 0")
        named = {TrainingCell.parse(text, given.filter, common) for text in given.cells}
        settings = {cell.experiment: merged_settings(raw, given.scale, changes, cell.experiment) for cell in named}
        # What others begin with comes first.
        cells = sorted(named, key=lambda c: (c.members, c.experiment, c.first(settings[c.experiment]) is not None, c))
        for cell in cells if given.start else []:
            if not cell.members:
                model = training_settings(settings[cell.experiment], cell.filter, cell.sigma_y)["model"]
                starting_weights(given.start, load_experiment(cell.experiment), cell.filter, model)
        out = given.out or Path(f"results/{common['scale']}/training")
        check_folder("--out", out)
        for cell in cells:
            _check(cell, cells, settings[cell.experiment], out)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    truths: dict[str, xr.Dataset] = {}
    print(f"Training on {default_device()}, weights to {out}", flush=True)
    for cell in cells:
        weights = cell.file(out, ".safetensors")
        if weights.exists() and cell.file(out, "_curve.csv").exists():
            print(f"{weights} is there already", flush=True)
            continue
        if cell.experiment not in truths:
            made = make_split(load_experiment(cell.experiment), "train", settings[cell.experiment])
            truths = {cell.experiment: made}
        left = None if deadline is None else max(0.0, (deadline - time.monotonic()) / 60)
        limited = assign(settings[cell.experiment], "training.time_limit", left)
        try:
            fit(cell, truths[cell.experiment], limited, out, given.start)
        except TimeLimitError as pause:
            print(pause, file=sys.stderr)
            if sizes:
                score(cell, sizes, settings[cell.experiment], out, pause)
            return TO_BE_CONTINUED
    for cell in cells if sizes else []:
        score(cell, sizes, settings[cell.experiment], out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
