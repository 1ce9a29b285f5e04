"""A trained filter applied to a file of observations: `mnmef assimilate obs.nc`."""

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from tqdm import tqdm

from mnmef.assimilation.assimilate import assimilate
from mnmef.assimilation.inputs import as_observations
from mnmef.assimilation.restart import SAVED
from mnmef.core.errors import positive_number, unknown_name
from mnmef.experiments.files import use_experiments
from mnmef.filters.learned import LearnedFilter
from mnmef.io.files import check_folder, provenance, write_dataset
from mnmef.learning.checkpoints import load_checkpoint
from mnmef.learning.shipped import load, shipped_weights

GIVEN = ("experiment", "sigma_y")
"""Attributes or numbers of a file of observations, beside these."""
PIECES = 20
"""Steps of the progress bar."""


def read_observations(file: Path, name: str | None = None) -> xr.DataArray:
    """Read the variable `name` of a NetCDF file, by default its only one, as (cycle, observation).

    The attribute `experiment` of the file, and a number `sigma_y` in it, are attributes of the result. Raises
    `FileNotFoundError`, or `ValueError` for a file that cannot be read, an unknown name, another number of axes, and
    nothing but missing values.
    """
    dataset = _opened(file)
    names = [each for each in dataset.data_vars if each not in GIVEN]
    if name is None and len(names) != 1:
        raise ValueError(f"{file} has the variables {', '.join(map(str, names)) or 'none'}: name one by --variable")
    name = name or str(names[0])
    if name not in names:
        raise ValueError(unknown_name(f"variable of {file}", name, names))
    values = dataset[name]
    while values.ndim > 2 and len(values) == 1:
        values = values[0]
    if values.ndim != 2:
        raise ValueError(f"{name} of {file} has the axes {values.dims}; right are two, cycles and observations")
    if values.size and bool(values.isnull().all()):
        raise ValueError(f"{name} of {file} has no value at all: every one is missing")
    found = {key: dataset.get(key, dataset.attrs.get(key)) for key in GIVEN}
    arrays = {key: np.squeeze(np.asarray(each)) for key, each in found.items() if each is not None}
    # 0.7 in single precision is meant as 0.7.
    exact = {key: each.astype(str).astype(float) if each.dtype.kind == "f" else each for key, each in arrays.items()}
    return values.assign_attrs({key: each.tolist() for key, each in exact.items()})


def _opened(file: Path) -> xr.Dataset:
    """Load a NetCDF file (see `read_observations`)."""
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    try:
        with xr.open_dataset(file) as opened:
            return opened.load()
    except Exception as error:  # the NetCDF and HDF5 libraries raise many types
        raise ValueError(f"{file} is not a readable NetCDF file: {error}") from error


def assimilate_in_pieces(
    filter_: LearnedFilter,
    observations: xr.DataArray,
    before: xr.Dataset | None = None,
    *,
    members: int = 10,
    save: str | Collection[str] = "moments",
    seed: int = 0,
) -> xr.Dataset:
    """Assimilate observations (cycle, observation) with a progress bar; the bits are those of one call of `assimilate`.

    `before` is the result of an earlier call, from whose last ensemble this one goes on. If the filter diverges, the
    result ends with the piece in which it does.
    """
    as_observations(observations, filter_.experiment)
    parts, size = [before] if before is not None else [], -(-len(observations) // PIECES)
    earlier = len(parts)
    with tqdm(total=len(observations), desc=f"assimilate {filter_.experiment.name}", unit="cycle") as bar:
        for begin in range(0, len(observations), size):
            piece, before = observations[begin : begin + size], parts[-1] if parts else None
            given = {"members": members, "seed": seed, "save": save, "first_ensemble": before}
            parts.append(assimilate(filter_, filter_.experiment, piece, **given))  # type: ignore[arg-type]
            bar.update(len(piece))
            if parts[-1]["diverged_at"] >= 0:
                break
    made = parts[earlier:]
    result = xr.concat(made, "cycle", data_vars="minimal", coords="minimal", compat="override", join="override")
    return result.assign({name: values for name, values in made[-1].items() if "cycle" not in values.dims})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mnmef assimilate",
        description="Estimate the states behind observations, without a truth. The result has the analysis mean and "
        "its standard deviation for each cycle, and the last ensemble, from which --after goes on.",
    )
    parser.add_argument("file", type=Path, help="NetCDF file with observations (cycle, site), NaN where one is missing")
    parser.add_argument("--variable", metavar="NAME", help="variable of the observations (default: the only one)")
    parser.add_argument(
        "--experiment",
        metavar="NAME",
        help="model and observation operator, or a file of your own such as lake.yaml (default: attribute `experiment` "
        "of the file)",
    )
    parser.add_argument(
        "--sigma-y",
        type=float,
        metavar="S",
        help="standard deviation of the observation noise, state units (default: number `sigma_y` in the file, else 1)",
    )
    parser.add_argument("--filter", metavar="NAME", help="learned filter (default: the best one of the experiment)")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights of your own instead of shipped ones")
    parser.add_argument("--members", type=int, default=10, metavar="N", help="ensemble size (default: %(default)s)")
    parser.add_argument("--after", type=Path, metavar="FILE", help="result of an earlier call, to go on from its end")
    parser.add_argument("--save", nargs="*", default=[], choices=SAVED[1:], help="what to write besides the moments")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first ensemble and the filter (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, default=Path("analysis.nc"), help="(default: %(default)s)")
    return parser


def _filter(given: argparse.Namespace, observations: xr.DataArray) -> LearnedFilter:
    """Load the filter that the command line and the file ask for."""
    experiment = str(given.experiment or observations.attrs.get("experiment") or "")
    if experiment.endswith(".yaml"):
        if not Path(experiment).is_file():
            raise FileNotFoundError(f"there is no file {experiment}")
        if not given.weights:
            raise ValueError(f"{experiment} has no shipped weights: name those of `mnmef fit` by --weights")
        use_experiments([Path(experiment)])
        experiment = Path(experiment).stem
    sigma_y = observations.attrs.get("sigma_y") if given.sigma_y is None else given.sigma_y
    if sigma_y is not None:
        sigma_y = positive_number(f"sigma_y of {given.file}" if given.sigma_y is None else "--sigma-y", sigma_y)
    if given.weights:
        return load_checkpoint(given.weights, experiment=experiment or None, sigma_y=sigma_y, name=given.filter)
    if not experiment:
        known = ", ".join(shipped_weights()["experiment"].unique())
        raise ValueError(f"{given.file} does not say of which experiment it is: write --experiment, one of {known}")
    return load(experiment, filter=given.filter, sigma_y=sigma_y or 1.0, ensemble_size=given.members)


def main(arguments: Sequence[str] | None = None) -> int:
    """Assimilate the file that the command line names, and write the result; return the exit status."""
    given = _parser().parse_args(arguments)
    observations = read_observations(given.file, given.variable)
    before = _opened(given.after) if given.after else None
    if before is not None and "last_ensemble" not in before:
        raise ValueError(f"--after {given.after} has no last_ensemble; right is a file that `mnmef assimilate` wrote")
    if before is not None:
        given.members = before.sizes.get("member", given.members)
    filter_ = _filter(given, observations)
    check_folder("--out", given.out.parent)
    if given.out.is_dir() or given.out.resolve() == given.file.resolve():
        raise ValueError(f"--out {given.out} is a folder or the file of the observations; right is a file of its own")
    print(
        f"{filter_.name} for {filter_.experiment.title}, sigma_y = {filter_.sigma_y:g}, {given.members} members",
        flush=True,
    )
    settings = {key: str(value) for key, value in vars(given).items()}
    result = assimilate_in_pieces(
        filter_, observations, before, members=given.members, save=["moments", *given.save], seed=given.seed
    )
    write_dataset(result, given.out, provenance=provenance("analysis", settings, given.seed))
    print(f"Wrote {given.out}: mean and deviation of {result.sizes['cycle']} cycles, and the last ensemble")
    return 0
