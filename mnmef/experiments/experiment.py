"""Twin experiment: a system, its observed components and the time between observations."""

import math
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mnmef.core.seeds import seed_sequence
from mnmef.experiments.process_noise import ProcessNoise
from mnmef.observations import Observation, make_observation
from mnmef.systems import System, make_system
from mnmef.systems.from_dapper import localizer_distances, operator_function, own_operator

TRAITS: Mapping[str, "Callable[[Experiment], object]"] = {
    "system": lambda experiment: type(experiment.system).__name__,
    "state_size": lambda experiment: experiment.state_size,
    "observed": lambda experiment: experiment.observed or experiment.observation_size,
    "observation.function": lambda experiment: getattr(
        experiment.observation.function, "__qualname__", experiment.observation.function
    ),
    "cycle_length": lambda experiment: float(f"{experiment.cycle_length:.12g}"),
    "length": lambda experiment: getattr(experiment.system, "length", None),
    "grid": lambda experiment: experiment.grid,
}
"""Properties in which an experiment must equal the one that a filter was made for, in the order of error texts."""


GRIDS = {"periodic": 1, "plane": 2}
"""Periodic grids by name, and their number of directions."""


@dataclass
class Experiment:
    """A system with its observations, as filters, training and evaluation see it.

    Parameters
    ----------
    name : str
        Name in files and tables.
    title : str
        Name in figures.
    system : System
        Forecast model.
    observation : Observation
        Observation operator h and its noise.
    steps_per_cycle : int
        Steps of the system from one observation to the next.
    bound : float
        Limit on the absolute value of an analysis component of a learned filter, in state units.
    first_spread : float
        Standard deviation of the first ensemble about the truth, in state units.
    burn_in_time : float
        Model time units from a state drawn by `System.initial_states` to the attractor.
    grid : str or None
        Periodic grid of the components, which gives them distances: `periodic`, a line, or `plane`, a square of points
        row by row; None without such a grid.
    model_dtype : dtype or None
        Precision of the dynamics, whatever the dtype of the state; None for the state's own. Single precision halves
        the cost of a forecast and is far below the model error of any real system, while the analyses of iterative
        filters need double precision: computed in single precision they diverge where they should not.
    description : mapping
        The description that the experiment was made from.
    known_distances : ndarray (Nx, d) or None
        Distances from every component to every observation, in place of those of a grid.
    process_noise : ProcessNoise or None
        What is added to states of the truth and of forecasts.
    seeds : SeedSequence or None
        Root of the random numbers of forecasts, if there are any, with a child for each cycle (see `with_seed`).
    """

    name: str
    title: str
    system: System
    observation: Observation
    steps_per_cycle: int
    bound: float
    first_spread: float = 1.0
    burn_in_time: float = 0.0
    grid: str | None = None
    model_dtype: torch.dtype | None = None
    description: Mapping[str, Any] = field(default_factory=dict)
    known_distances: np.ndarray | None = None
    process_noise: ProcessNoise | None = None
    seeds: np.random.SeedSequence | None = None

    @classmethod
    def from_description(cls, description: Mapping[str, Any], model_dtype: torch.dtype | None = None) -> "Experiment":
        """Make an experiment from the description in its file (see `mnmef/experiments/paper`).

        Parameters
        ----------
        description : mapping
            Name of the experiment and the keys of `mnmef.experiments.files.DESCRIPTION`.
        model_dtype : dtype or None
            Precision of the dynamics; that of the states by default.

        Raises
        ------
        ValueError
            For a system or an option that does not exist, and components that the state does not have.
        """
        system, seen, grid = make_system(description["system"]), dict(description["observation"]), description["grid"]
        distances = None
        if "dapper" in (seen.get("function"), grid):
            operator = own_operator(system)
            if seen.get("function") == "dapper":
                seen["function"] = operator_function(operator)
            distances = localizer_distances(operator, system.state_size) if grid == "dapper" else None
        noise = description.get("process_noise")
        same = ("name", "title", "steps_per_cycle", "bound", "first_spread", "burn_in_time")
        return cls(
            **{key: description[key] for key in same},
            system=system,
            observation=make_observation(seen, system.state_size),
            grid=grid if grid in GRIDS else None,
            model_dtype=model_dtype,
            description=description,
            known_distances=distances,
            process_noise=None if noise is None else ProcessNoise(noise, system.state_size),
        )

    def with_system(self, options: Mapping[str, Any]) -> "Experiment":
        """Return the same experiment with other `options` of its system, such as `{"forcing": 9.0}`."""
        system = {**self.description["system"], **options}
        return self.from_description({**self.description, "system": system}, self.model_dtype)

    def of_truth(self) -> "Experiment":
        """Return the experiment that truths are simulated with: itself, unless its file says `truth`, a model error.

        The first components of its state are those of the forecasts' state.

        Raises
        ------
        ValueError
            If its state is smaller, or its steps do not end at the times of observations.
        """
        options = self.description.get("truth")
        if not options:
            return self
        system = make_system(options if "name" in options else {**self.description["system"], **options})
        steps = round(self.cycle_length / system.step_size)
        fault = ""
        if system.state_size < self.state_size or (system.state_size > self.state_size and self.process_noise):
            some = " and no process noise" if self.process_noise else ""
            fault = (
                f"has {system.state_size} components, and must have at least the {self.state_size} of forecasts{some}"
            )
        elif not math.isclose(steps * system.step_size, self.cycle_length, rel_tol=1e-9):
            fault = f"has step_size = {system.step_size}, which must divide {self.cycle_length:g}, the time of a cycle"
        if fault:
            raise ValueError(f"{self.title}: truth: {system.title} {fault}")
        return replace(self, system=system, steps_per_cycle=steps)

    def __post_init__(self) -> None:
        if math.prod(self.grid_shape) not in (1, self.state_size):
            raise ValueError(f"{self.title}: grid = plane needs a square of points, not {self.state_size}")

    @property
    def state_size(self) -> int:
        """Number of components of the state, Nx."""
        return self.system.state_size

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """Grid points in each direction of the periodic grid; () without one."""
        directions = GRIDS[self.grid] if self.grid else 0
        return (round(self.state_size ** (1 / directions)),) * directions if directions else ()

    @property
    def is_periodic(self) -> bool:
        """True if components are grid points of a periodic line."""
        return self.grid == "periodic"

    @property
    def observation_size(self) -> int:
        """Number of observations at a time, d."""
        return self.observation.size

    @property
    def observed(self) -> tuple[int, ...]:
        """Grid points (d,) of the observations: the observed components; none for functions without a place."""
        return self.observation.sites or ()

    @property
    def cycle_length(self) -> float:
        """Model time units between observations."""
        return self.system.step_size * self.steps_per_cycle

    def difference(self, other: "Experiment") -> str | None:
        """Say in what this experiment differs from another for a filter that was made for it; None for nothing.

        Constants of the system, such as a forcing, may differ.
        """
        for name, trait in TRAITS.items():
            own, others = trait(self), trait(other)
            if own != others:
                return f"{self.name}, {name} = {reprlib.repr(own)}, not {reprlib.repr(others)}"
        return None

    @property
    def is_random(self) -> bool:
        """True if a forecast draws random numbers: with process noise, or of a stochastic model."""
        return self.process_noise is not None or self.system.is_stochastic

    def with_seed(self, seed: int, *labels: object, after: int = 0) -> "Experiment":
        """Return the experiment with the random stream of its forecasts named by `labels`, after some cycles; itself
        where nothing is random.
        """
        if not self.is_random:
            return self
        seeds = seed_sequence(seed, "process", *labels)
        seeds.spawn(after)
        return replace(self, seeds=seeds)

    def without_noise(self) -> "Experiment":
        """Return the experiment without process noise; `ValueError` for a stochastic model."""
        if self.system.is_stochastic:
            raise ValueError(f"{self.title} has a stochastic model, where a deterministic one is needed")
        return self if self.process_noise is None else replace(self, process_noise=None)

    def propagate(self, state: Tensor) -> Tensor:
        """Advance `state` (..., Nx) from one observation time to the next; keeps the dtype.

        Random numbers are those of the next child of `seeds`. Settings, all dimensions before trajectories, members and
        components, share them, so that a score does not depend on the settings beside it.

        Raises
        ------
        ValueError
            If it needs random numbers and has no seed.
        """
        if not self.is_random:
            return self.system.advance(state, self.steps_per_cycle, self.model_dtype)
        if self.seeds is None:
            raise ValueError(f"{self.title} has process noise or a stochastic model: run experiment.with_seed(seed)")
        [child] = self.seeds.spawn(1)
        if state.ndim <= 3:
            return self._propagate_randomly(state, np.random.default_rng(child))
        parts = [self._propagate_randomly(part, np.random.default_rng(child)) for part in state.flatten(0, -4)]
        return torch.stack(parts).view(state.shape)

    def _propagate_randomly(self, state: Tensor, rng: np.random.Generator) -> Tensor:
        """Advance states (..., Nx) with random numbers of a generator."""
        noise, given = self.process_noise, {"rng": rng} if self.system.is_stochastic else {}
        if noise is None or noise.when == "per_cycle":
            state = self.system.advance(state, self.steps_per_cycle, self.model_dtype, **given)
            return state if noise is None else noise.add(state, rng)
        for _ in range(self.steps_per_cycle):
            state = noise.add(self.system.advance(state, 1, self.model_dtype, **given), rng)
        return state

    def observe(self, state: Tensor) -> Tensor:
        """Apply the observation operator h to `state` (..., Nx): observations without noise (..., d)."""
        return self.observation.observe(state)

    def observation_index(self, device: torch.device | str = "cpu") -> Tensor:
        """Return the grid points (d,) of the observations; `ValueError` where they have none."""
        return self.observation.index(device)

    def initial_states(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `count` states (count, Nx) that a burn-in takes to the attractor."""
        return self.system.initial_states(count, rng)

    def distances(self) -> np.ndarray:
        """Return the distances (Nx, d) from every component to every observation.

        On a periodic grid they are cyclic and in grid points; else those of the system's method `distance`, which takes
        the grid points (d,) of the observations, or Euclidean ones between its `coordinates` (Nx, k).

        Raises
        ------
        ValueError
            For an experiment without grid or distances, observations without a place, and distances that cannot be any.
        """
        if self.known_distances is not None:
            return self.known_distances
        sites, system = self.observation_index().numpy(), self.system
        if self.grid:
            gaps = []
            for length, place in zip(self.grid_shape, np.indices(self.grid_shape), strict=True):
                gap = np.abs(place.reshape(-1, 1) - place.ravel()[sites])
                gaps.append(np.minimum(gap, length - gap))
            return reduce(np.hypot, gaps)  # on a line the whole numbers themselves
        if hasattr(system, "distance"):
            found = np.asarray(system.distance(sites), dtype=float)
        elif hasattr(system, "coordinates"):
            gaps = [place[:, None] - place[sites] for place in self._coordinates().T]
            found = np.abs(reduce(np.hypot, gaps))
        else:
            raise ValueError(f"{self.title} has no spatial grid, so there is no distance to localize with")
        if found.shape != (self.state_size, len(sites)) or not (found >= 0).all():
            raise ValueError(
                f"{self.title}: distances of the system have the shape {found.shape}; right are numbers of at least 0 "
                f"of shape {(self.state_size, len(sites))}, from components to observations"
            )
        return found

    def _coordinates(self) -> np.ndarray:
        """Return the coordinates (Nx, k) of the system; `ValueError` if they are none."""
        given: Any = getattr(self.system, "coordinates", None)
        try:
            points = np.asarray(given, dtype=float)
        except (TypeError, ValueError):
            points = np.empty(0)
        if points.shape[:1] != (self.state_size,) or not np.isfinite(points).all():
            raise ValueError(
                f"{self.title}: coordinates of the system must be numbers ({self.state_size}, k), a row for each "
                f"component, not {reprlib.repr(given)}"
            )
        return points.reshape(self.state_size, -1)
