"""Analyses that were made elsewhere, on the command line: `observations` writes what they start from, `score` scores
them beside the filters of a run (docs/analyses.md).
"""

import argparse
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mnmef.config.loading import load_config
from mnmef.core.names import METHODS, use_filters
from mnmef.core.shipped import SHIPPED
from mnmef.data.observations import without_truths
from mnmef.data.published import KEYS
from mnmef.data.splits import make_split
from mnmef.evaluation.analyses import Header, evaluate_analyses, read_headers
from mnmef.experiments.experiment import Experiment
from mnmef.io.files import provenance, read_dataset, write_dataset, write_table
from mnmef.io.strict_yaml import read_yaml
from mnmef.scores.comparisons import add_improvements, add_trainings, compare_filters, score_trainings
from mnmef.scores.scoring import run_scores, summarize

SHOWN = [*KEYS, "rrmse", "rrmse_low", "rrmse_high", "n_trajectories", "n_diverged"]
PAIRS = ["method", "benchmark", "ensemble_size", "improvement", "improvement_low", "improvement_high", "n_pairs"]


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of a command with the options that both have."""
    parser = argparse.ArgumentParser(prog=f"mnmef {name}", description=description)
    parser.add_argument("--config", type=Path, default=SHIPPED / "config.yaml", help="settings (default: %(default)s)")
    parser.add_argument("--scale", help="overlay of the config (default: the one that it names)")
    parser.add_argument("--results", type=Path, help="folder of a run of this scale (default: results/SCALE)")
    return parser


def write_observations(arguments: Sequence[str]) -> int:
    """Write observations of the test split, and say so. Raises `ValueError` for a noise level that there is not."""
    parser = _parser("observations", "Write observations of the test split, without the truths.")
    parser.add_argument("experiment", help="an experiment of the package, or a file of yours, such as lake.yaml")
    parser.add_argument("out", type=Path, metavar="OUT.nc", help="where to")
    parser.add_argument("--sigma-y", type=float, default=1.0, help="noise level, state units (default: %(default)s)")
    given = parser.parse_args(arguments)
    run = _Run(given, given.experiment)
    observations = without_truths(run.test_split(), given.sigma_y)
    write_dataset(observations, given.out, provenance=provenance("observations", {}, run.settings["seed"]))
    sizes = f"{observations.sizes['trajectory']} trajectories of {observations.sizes['cycle']} cycles"
    print(f"Wrote {given.out}: {sizes} of {run.name}, sigma_y = {given.sigma_y:g}, scale {run.settings['scale']}")
    return 0


def score_analyses(arguments: Sequence[str]) -> int:
    """Write tables and figures of analyses beside the filters of a run, and print the tables.

    Raises
    ------
    OSError, ValueError
        For a file that is not there, does not keep to the schema, or was made from other observations.
    """
    # Not at the top: the other commands do without matplotlib.
    from mnmef.report.figures.curves import figure_curves
    from mnmef.report.figures.style import save_figure

    parser = _parser("score", "Score analyses that were made elsewhere, beside the filters of a run.")
    parser.add_argument("files", type=Path, nargs="+", metavar="ANALYSES.nc", help="docs/analyses.md has the schema")
    parser.add_argument("--experiment", help="the file of an experiment of yours, such as lake.yaml")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for tables and figure (default: this one)")
    given = parser.parse_args(arguments)
    headers = sorted(read_headers(given.files), key=lambda header: header.cell)
    parts, said = [], []
    for name, group in groupby(headers, key=lambda header: header.experiment):
        run = _Run(given, given.experiment or name)
        split, own = run.test_split(), list(group)
        parts += [run_scores(evaluate_analyses(split, list(each))) for _, each in groupby(own, key=lambda h: h.cell)]
        beside = run.evaluations(split, own)
        said.append(f"{len(beside)} filters of {run.folder} are beside those on {name}.")
        parts += beside
    trajectories, named = pd.concat(parts), {header.name: header for header in headers}
    use_filters([*named, *(name for name in trajectories["method"].unique() if name not in METHODS)], "analyses")
    scores, compared = _tables(trajectories, run.settings["seed"])
    write_table(scores, given.out / "scores.csv")
    write_table(compared, given.out / "improvements.csv")
    published = pd.DataFrame(columns=[*KEYS, "rrmse"])
    for name in scores["experiment"].unique():
        first = next(header.name for header in headers if header.experiment == name)
        figure = figure_curves(scores, compared, published, name, contender=first)
        save_figure(figure, *(given.out / f"curves_{name}.{kind}" for kind in ("png", "svg")))
    pairs = compared[compared["method"].isin(named)]
    print("\n".join([*said, "", _text(scores[SHOWN]), "", "Improvements in pairs:", _text(pairs[PAIRS])]))
    return 0


def _text(table: pd.DataFrame) -> str:
    return table.to_string(index=False, float_format="{:.4f}".format)


def _tables(trajectories: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return scores and comparisons of the R-RMSE of trajectories."""
    scores, compared = summarize(trajectories, KEYS, seed), compare_filters(trajectories, seed)
    return add_trainings(add_improvements(scores, compared), score_trainings(scores, [], seed)), compared


class _Run:
    """Settings of one experiment at a scale, and the folder of the results."""

    def __init__(self, given: argparse.Namespace, experiment: str) -> None:
        overrides = {"experiments": [experiment]} | ({"scale": given.scale} if given.scale else {})
        checked = load_config(read_yaml(given.config), overrides)
        self.name = checked.common.experiments[0]
        self.settings = checked.experiments[self.name].model_dump()
        self.experiment = Experiment.from_description(checked.descriptions[self.name])
        self.folder = given.results or Path("results") / self.settings["scale"]

    def test_split(self) -> xr.Dataset:
        """Return the test split: that of the results, or simulated as there."""
        path = self.folder / "data" / f"{self.name}_test.nc"
        if path.exists():
            return read_dataset(path, kind="data", experiment=self.name, split="test")
        return make_split(self.experiment, "test", self.settings)

    def evaluations(self, split: xr.Dataset, headers: Sequence[Header]) -> list[pd.DataFrame]:
        """Return the scores of the results' filters in the cells of some files, but for those of the same names."""
        named = {header.name for header in headers}
        truth_norm = np.linalg.norm(split["truth"].values.astype(np.float64), axis=-1)
        found = []
        for level in sorted({header.sigma_y for header in headers}):
            for path in sorted((self.folder / "evaluation").glob(f"{self.name}_{level}_*.nc")):
                run = read_dataset(path, kind="evaluation", experiment=self.name)
                norms = run["truth_norm"].values
                fits = norms.shape[1:] == truth_norm.shape
                if not (fits and np.all(np.isnan(norms) | np.isclose(norms, truth_norm, 1e-4))):
                    raise ValueError(f"{path} is of other truths than the observations that are scored: name --results")
                if run.attrs["method"] not in named:
                    found.append(run_scores(run))
        return found
