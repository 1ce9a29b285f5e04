"""A look at an experiment before any long job: its file, model, observation, and a few cycles of filters."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mnmef.assimilation.cycling import noise_source, run_filter
from mnmef.config.loading import RunConfig, load_config
from mnmef.config.schema import Config
from mnmef.config.settings import training_settings
from mnmef.core.names import LOCALIZED_METHODS, serves_grid
from mnmef.core.references import located, split_reference
from mnmef.data.splits import make_split
from mnmef.data.twin import SPLITS, load_trial, simulate_split
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import Filter
from mnmef.filters.classical import make_classical
from mnmef.filters.learned import initial_filter
from mnmef.filters.outside import load_filter, variants

MEMBERS, TRAJECTORIES, CYCLES, STEPS = 10, 2, 5, 20
"""Sizes of the trial, and steps of the model before it."""


def check_experiment(file: Path, raw: Mapping[str, Any], scale: str | None = None) -> list[str]:
    """Say what is wrong with an experiment.

    Parameters
    ----------
    file : Path
        The user's file.
    raw : mapping
        The content of config.yaml.
    scale : str or None
        Overlay of the config; the one that it names by default.

    Returns
    -------
    list of str
        The faults, in the order in which they were found; later stages are left out after a fault.
    """
    overrides = {"experiments": [str(file)]} | ({"scale": scale} if scale else {})
    try:
        run = load_config(raw, overrides)
    except ValueError as error:
        return str(error).splitlines()
    return faults_of(file.stem, run)


def faults_of(name: str, run: RunConfig) -> list[str]:
    """Return what is wrong with the experiment `name` of a checked config, as `check_experiment`."""
    own, description = run.experiments[name], run.descriptions[name]
    try:
        experiment = Experiment.from_description(description)
    except ValueError as error:
        return str(error).splitlines()
    except Exception as error:
        return [_said(error, description, own)]
    found: list[str] = []
    try:
        found.extend(faults_of_model(experiment, experiment.description["system"]["name"]))
        truth = experiment.of_truth()
        if truth is not experiment:
            found.extend(faults_of_model(truth, experiment.description["truth"].get("name", "truth")))
        found.extend(() if found else faults_of_observation(experiment))
        if not found and any(method in LOCALIZED_METHODS for method in own.baselines):
            experiment.distances()
        found.extend(() if found else faults_of_cycles(experiment, run))
        found.extend(() if found else faults_of_learned(experiment, run))
        for split in SPLITS if own.trajectories and not found else ():
            make_split(experiment, split, own.model_dump())
        for entry in () if found else own.filters:
            found.extend(faults_of_filter(experiment, run, entry))
    except Exception as error:  # whatever the user's code raises is what there is to say
        found.append(_said(error, description, own))
    return found


def faults_of_model(experiment: Experiment, name: str) -> Iterator[str]:
    """Name what is wrong with the model `name` of an experiment: first states, and its steps."""
    system = experiment.system
    first, again = (system.initial_states(MEMBERS, np.random.default_rng(1)) for _ in range(2))
    if not (isinstance(first, np.ndarray) and first.shape == (MEMBERS, system.state_size)):
        shape = getattr(first, "shape", type(first).__name__)
        yield f"{name}: initial_states({MEMBERS}, rng) returned {shape}; right is {(MEMBERS, system.state_size)}"
        return
    if not np.isfinite(first).all():
        yield f"{name}: initial_states returned values that are not finite"
        return
    if not np.array_equal(first, again):
        yield f"{name}: initial_states is not deterministic: draw from the rng that it is given, and from no other"
    state = torch.from_numpy(np.array(first, dtype=np.float64))
    kept = state.clone()

    def step(of: torch.Tensor, seed: int = 2) -> torch.Tensor:
        given = (np.random.default_rng(seed),) if system.is_stochastic else ()
        return system.step(of, *given)

    result, repeated, alone = step(state), step(state.clone()), step(state[:1].clone())
    if not torch.equal(state, kept):
        yield f"{name}: step changed its input in place; it must return a new array"
    if not isinstance(result, torch.Tensor) or result.shape != kept.shape:
        found = tuple(result.shape) if isinstance(result, torch.Tensor) else type(result).__name__
        yield f"{name}: step(state) returned {found}; right is {tuple(kept.shape)}, that of its input"
        return
    if result.dtype != kept.dtype:
        yield f"{name}: step(state) returned {result.dtype} for {kept.dtype}; it must keep the dtype"
    if system.is_stochastic and torch.equal(result, step(state.clone(), 3)):
        yield f"{name}: is_stochastic, but steps with different generators are the same"
    if not torch.equal(result, repeated):
        given = "draw from the rng that it is given, and from no other"
        hint = given if system.is_stochastic else "a random model says is_stochastic = True and draws from step's rng"
        yield f"{name}: step is not deterministic: two steps from the same states differ; {hint}"
    elif not system.is_stochastic and not torch.allclose(result[:1], alone, rtol=1e-9, atol=1e-12):
        yield f"{name}: step mixes the rows of its input: a state by itself ends elsewhere than among others"
    for count in range(1, STEPS + 1):
        kept = step(kept, count)
        if not kept.isfinite().all():
            yield f"{name}: states are not finite after {count} steps; a smaller step_size may help"
            return
    if torch.equal(result, repeated) and not torch.equal(result, step(state.clone())):
        yield f"{name}: step is not deterministic: after {STEPS} others, a step from the same states ends elsewhere"


def faults_of_observation(experiment: Experiment) -> Iterator[str]:
    """Name what is wrong with the observation operator; errors that it raises itself name the rest."""
    name = experiment.description["observation"].get("function", "observation")
    first = experiment.initial_states(MEMBERS, np.random.default_rng(1))
    state = experiment.with_seed(1).propagate(torch.from_numpy(np.array(first, dtype=np.float64)))
    kept = state.clone()
    result, repeated, alone = (experiment.observe(each) for each in (state, kept.clone(), kept[:1].clone()))
    if not torch.equal(state, kept):
        yield f"{name}: changed its input in place; it must return a new tensor"
    elif result.shape != (MEMBERS, experiment.observation_size) or alone.shape != result[:1].shape:
        made = f"{tuple(result.shape)} of {MEMBERS} states, and {tuple(alone.shape)} of one"
        yield f"{name}: returned {made}; right are {experiment.observation_size} values for each state"
    elif not result.isfinite().all():
        yield f"{name}: observations of states are not finite"
    elif not torch.equal(result, repeated):
        yield f"{name}: is not deterministic: two observations of the same states differ; noise is added elsewhere"
    elif not torch.allclose(result[:1], alone, rtol=1e-9, atol=1e-12):
        yield f"{name}: mixes the rows of its input: a state by itself is observed otherwise than among others"


def faults_of_learned(experiment: Experiment, run: RunConfig) -> Iterator[str]:
    """Name learned filters that cannot be made for an experiment."""
    settings, sigma_y = run.experiments[experiment.name].model_dump(), run.common.noise_levels[0]
    for name in (each for each in settings["learned"] if serves_grid(each, experiment.description["grid"])):
        try:
            model = training_settings(settings, name, sigma_y)["model"]
            initial_filter(experiment, sigma_y, model, run.common.seed, name=name)
        except ValueError as error:
            yield f"{experiment.name}: learned has {name}: {error}"


def faults_of_filter(experiment: Experiment, run: RunConfig, entry: Mapping[str, Any]) -> Iterator[str]:
    """Run a filter of the user's over a few cycles, and name what went wrong."""
    label, sigma_y = entry["name"], run.common.noise_levels[0]
    filter_, *_ = (load_filter(each, experiment, sigma_y) for each in variants(entry))
    dtype = torch.float32 if isinstance(filter_, torch.nn.Module) else torch.float64
    split = simulate_split(experiment, "tune", TRAJECTORIES, CYCLES, [sigma_y], MEMBERS, run.common.seed)
    first, observations, _ = load_trial(split, sigma_y, MEMBERS, dtype)
    draw = noise_source(run.common.seed, "check", MEMBERS, (TRAJECTORIES, MEMBERS, experiment.observation_size))
    carry, kept = filter_.start(first), observations.clone()
    try:
        for k in range(CYCLES):
            with torch.no_grad():
                same, again = (experiment.with_seed(run.common.seed, "check", k) for _ in range(2))
                expected = same.propagate(carry) if isinstance(carry, torch.Tensor) else None
                result = filter_.cycle(carry, observations[:, k], again, draw().to(dtype))
            made = result.analysis
            if not isinstance(made, torch.Tensor) or made.shape != first.shape or made.dtype != dtype:
                is_tensor = isinstance(made, torch.Tensor)
                found = f"{tuple(made.shape)} of {made.dtype}" if is_tensor else f"a {type(made).__name__}"
                yield f"{label}: the analysis is {found}; right is a tensor {tuple(first.shape)} of {dtype}"
                return
            is_changed = expected is not None and not torch.equal(result.forecast, expected)
            if is_changed or not torch.equal(observations.nan_to_num(), kept.nan_to_num()):
                yield f"{label}: changed the forecast or the observation in place; it must return a new tensor"
                return
            if not result.analysis.isfinite().all():
                yield f"{label}: the analysis is not finite after {k + 1} of {CYCLES} cycles"
                return
            carry = result.carry
        if _mixes(filter_, experiment.with_seed, first, observations[:, 0], draw().to(dtype)):
            yield f"{label}: mixes trajectories: one by itself has another analysis than beside others"
    except Exception as error:
        path = Path(label.rpartition(":")[0])
        yield f"{label}: {located(error, path)}"


def _mixes(
    filter_: Filter,
    seeded: Callable[[int], Experiment],
    first: torch.Tensor,
    observation: torch.Tensor,
    noise: torch.Tensor,
) -> bool:
    """Return True if the first of some trajectories has another analysis by itself, but not in the same run again."""

    def analysis(count: int) -> torch.Tensor:
        start, *given = (each[:count].clone() for each in (first, observation, noise))
        with torch.no_grad():
            return filter_.cycle(filter_.start(start), given[0], seeded(2), given[1]).analysis[:1]

    whole, again, alone = (analysis(count) for count in (TRAJECTORIES, TRAJECTORIES, 1))
    return torch.equal(whole, again) and not torch.allclose(whole, alone, rtol=1e-3, atol=1e-3 * float(whole.std()))


def faults_of_cycles(experiment: Experiment, run: RunConfig) -> Iterator[str]:
    """Simulate truths and observations, run the EnKF over a few cycles, and name what went wrong."""
    config, sigma_y = run.common, run.common.noise_levels[0]
    split = simulate_split(experiment, "tune", TRAJECTORIES, CYCLES, [sigma_y], MEMBERS, config.seed)
    first, observations, truth = load_trial(split, sigma_y, MEMBERS, torch.float64)
    noise = noise_source(config.seed, "enkf", MEMBERS, (TRAJECTORIES, MEMBERS, experiment.observation_size))
    enkf, seeded = make_classical("enkf", experiment, sigma_y, 1.0), experiment.with_seed(config.seed, "check")
    record = run_filter(enkf, seeded, first, observations, truth, noise)
    if bool((record.diverged_at >= 0).any()):
        yield (
            f"{experiment.name}: an ensemble of the EnKF is not finite after {int(record.diverged_at.max()) + 1} of "
            f"{CYCLES} cycles: look at first_spread = {experiment.first_spread:g} and the model's step_size"
        )
    largest = float(np.abs(split["truth"].values).max())
    if largest > experiment.bound:
        yield (
            f"{experiment.name}: bound = {experiment.bound:g}, on the analysis of learned filters, is less than "
            f"{largest:.3g}, which the truth reaches in {CYCLES} cycles"
        )


def summary(experiment: Experiment) -> str:
    """Describe an experiment in one line."""
    grid = {"periodic": "a periodic line", "plane": "a periodic square"}.get(experiment.grid or "", "no grid")
    return (
        f"{experiment.name}: {experiment.state_size} components, {experiment.observation_size} observed every "
        f"{experiment.cycle_length:g} model time units, {grid}"
    )


def _said(error: Exception, description: Mapping[str, Any], own: Config) -> str:
    """Describe an exception, with the line of the user's file that raised it; one that names a file, as it is."""
    seen = description["observation"]
    names = description["system"]["name"], seen.get("function"), seen.get("available")
    paths = [reference[0] for reference in map(split_reference, names) if reference]
    named = [*map(str, paths), *(entry["name"] for entry in own.filters), *filter(None, [own.trajectories])]
    if isinstance(error, ValueError) and any(each in str(error) for each in named):
        return str(error)
    lines = [located(error, path) for path in paths]
    found = [f"{path}: {line}" for path, line in zip(paths, lines, strict=True) if line.startswith("line")]
    return found[0] if found else f"{description['name']}: {type(error).__name__}: {error}"
