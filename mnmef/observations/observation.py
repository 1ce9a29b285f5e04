"""Observation of a state: `y = h(x) + noise`, some of it missing."""

import math
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mnmef.core.errors import unknown_name

FUNCTIONS = {"identity": None, "arctan": torch.arctan, "square": torch.square, "abs": torch.abs}
"""Functions of the observed components, one by one."""

DISTRIBUTIONS = ("gaussian", "laplace")


class Observation:
    """Observation operator and noise, whose covariance R is given in units of sigma_y^2.

    Parameters
    ----------
    state_size : int
        Number of components Nx of the state.
    components : sequence of int or None
        Indices (d,), ascending, of the observed components; for an operator of the whole state those of its values
        that are observed, None for all.
    function : str or callable
        A key of `FUNCTIONS`, of the observed components; or an operator from states (..., Nx) to (..., Nx or d).
    sites : sequence of int or None
        Grid points (d,) at which the observations are, for localization; by default `components`.
    noise : array (d,) or (d, d), or None
        Standard deviations in units of sigma_y, or a covariance in units of sigma_y^2; None for R = sigma_y^2 I.
    distribution : str
        `gaussian` or `laplace`, of the same covariance.
    missing : float
        Fraction that is missing at random at each time.

    Attributes
    ----------
    available : callable or None
        From the index of a cycle, 0 for the first observation, and a generator to a mask (d,) of what is observed then.

    Raises
    ------
    ValueError
        For components or sites that the state does not have, a function that is none, and noise that cannot be one.
    """

    def __init__(
        self,
        state_size: int,
        components: Sequence[int] | None = None,
        function: str | Callable[[Tensor], Tensor] = "identity",
        *,
        sites: Sequence[int] | None = None,
        noise: Any = None,
        distribution: str = "gaussian",
        missing: float = 0.0,
    ) -> None:
        self.state_size, self.function = state_size, function
        self.components = None if components is None else tuple(components)
        if self.components is None and not callable(function):
            raise ValueError("an observation needs components, or a function of the whole state")
        if self.components is not None:
            _check_components(self.components, state_size)
        if not callable(function) and function not in FUNCTIONS:
            raise ValueError(unknown_name("observation.function", function, FUNCTIONS))
        self.size = len(self.components) if self.components is not None else self._values_of_one_state()
        self.sites = self.components if sites is None else tuple(sites)
        if sites is not None and (len(sites) != self.size or not all(0 <= site < state_size for site in sites)):
            raise ValueError(
                f"observation.sites must be {self.size} grid points below {state_size}, one for each observation, "
                f"not {list(sites)}"
            )
        self._components, self._sites = _places(self.components), _places(self.sites)
        self.noise = None if noise is None else _checked_noise(noise, self.size)
        if distribution not in DISTRIBUTIONS:
            raise ValueError(unknown_name("observation.distribution", distribution, DISTRIBUTIONS))
        if not 0.0 <= missing < 1.0:
            raise ValueError(f"observation.missing = {missing!r}: must be a fraction of at least 0 and less than 1")
        self.distribution, self.missing = distribution, missing
        self.available: Callable[[int, np.random.Generator], np.ndarray] | None = None

    @property
    def is_correlated(self) -> bool:
        """True if the noise is given by a covariance."""
        return self.noise is not None and self.noise.ndim == 2

    def covariance(self) -> np.ndarray:
        """Return R in units of sigma_y^2: its diagonal (d,), or all of it (d, d)."""
        if self.noise is None:
            return np.ones(self.size)
        return self.noise if self.is_correlated else self.noise**2

    def observe(self, state: Tensor) -> Tensor:
        """Return `h(x)` (..., d) of `state` (..., Nx); a view where components are observed as they are and evenly
        spaced.
        """
        if not callable(self.function):
            function, seen = FUNCTIONS[self.function], _at(self._components, state)
            return seen if function is None else function(seen)
        values = self.function(state)
        if self.components is None or values.shape[-1] == self.size:
            return values
        if values.shape[-1] != self.state_size:
            raise ValueError(
                f"observation.function returned {values.shape[-1]} values of a state; right are {self.size}, one for "
                f"each of the components, or {self.state_size}, of which the components are observed"
            )
        return _at(self._components, values)

    def at_sites(self, field: Tensor) -> Tensor:
        """Return the values (..., d) of a field (..., Nx) at the grid points of the observations."""
        return _at(self._sites, field)

    def index(self, device: torch.device | str = "cpu") -> Tensor:
        """Return the grid points (d,) of the observations.

        Raises
        ------
        ValueError
            If they have none.
        """
        if self.sites is None:
            raise ValueError(
                "the observations have no place on the grid, which localization needs: give observation.sites, a grid "
                "point for each of them"
            )
        return _index(self.sites, torch.device(device))

    @property
    def has_gaps(self) -> bool:
        """True if something may be missing in simulated observations."""
        return self.missing > 0 or self.available is not None

    def noise_of(self, draws: Tensor) -> Tensor:
        """Return noise (..., d) of covariance R, in units of sigma_y, made of standard normal draws (..., d)."""
        if self.distribution == "laplace":
            # By the quantile of each draw; the scale 1 / sqrt(2) has variance 1.
            tail = torch.special.log_ndtr(-draws.abs()) + math.log(2.0)
            draws = -torch.copysign(tail, draws.neg()) * 0.5**0.5
        if self.noise is None:
            return draws
        noise = torch.from_numpy(self.noise).to(draws.device)
        return draws @ torch.linalg.cholesky(noise).mT.to(draws) if self.is_correlated else draws * noise.to(draws)

    def simulate(
        self, truth: np.ndarray, noise_levels: Sequence[float], draws: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Simulate observations of truths.

        Parameters
        ----------
        truth : ndarray (T, K, Nx)
            States at K times.
        noise_levels : sequence of float
            Standard deviations sigma_y, state units, which scale the same noise and share what is missing.
        draws : ndarray (T, K, d)
            Standard normal.
        rng : numpy.random.Generator
            Source of what is missing.

        Returns
        -------
        ndarray (noise levels, T, K, d)
            NaN where missing.
        """
        seen, noise = self.observe(torch.from_numpy(truth)).numpy(), self.noise_of(torch.from_numpy(draws)).numpy()
        observations = np.stack([seen + level * noise for level in noise_levels])
        if self.has_gaps:
            observations[:, self.gaps(len(truth), range(truth.shape[1]), rng)] = np.nan
        return observations

    def gaps(self, trajectories: int, cycles: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """Draw what is missing (T, K, d) at cycles (K,)."""
        missing = rng.random((trajectories, len(cycles), self.size)) < self.missing
        if self.available is not None:
            for t in range(trajectories):
                for k, cycle in enumerate(cycles):
                    missing[t, k] |= ~self.available(cycle, rng)
        return missing

    def whitener(self, missing: Tensor | None, like: Tensor) -> Tensor | None:
        """Return R^-1/2 sigma_y, in the precision of `like`: factors (..., d), a symmetric root (..., d, d), or None
        for the identity.

        Rows and columns of what is `missing` (..., d) are zero, and the others those of the smaller problem.
        """
        if self.noise is None:
            return None if missing is None else (~missing).to(like)
        noise = torch.from_numpy(self.noise).to(like.device)
        if not self.is_correlated:
            factors = 1.0 / noise
            return (factors if missing is None else torch.where(missing, 0.0, factors)).to(like)
        if missing is None:
            return self._root.to(like)
        gone = missing.unsqueeze(-1) | missing.unsqueeze(-2)
        kept = torch.where(gone, torch.eye(self.size, device=like.device, dtype=noise.dtype), noise)
        return inverse_root(kept).masked_fill(gone, 0.0).to(like)

    @cached_property
    def _root(self) -> Tensor:
        """R^-1/2 sigma_y of a covariance, where nothing is missing."""
        return inverse_root(torch.from_numpy(self.noise))

    def _values_of_one_state(self) -> int:
        """Number of values that the operator makes of a state."""
        values = self.function(torch.ones(1, self.state_size, dtype=torch.float64))  # type: ignore[operator]
        found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        if not isinstance(values, Tensor) or values.ndim != 2 or len(values) != 1 or not values.shape[1]:
            raise ValueError(f"observation.function made {found} of a state (1, {self.state_size}); right is (1, d)")
        return values.shape[1]


@cache
def _index(indices: tuple[int, ...], device: torch.device) -> Tensor:
    """Indices as a tensor, kept where it is needed."""
    return torch.tensor(indices, device=device)


def _at(places: slice | tuple[int, ...], field: Tensor) -> Tensor:
    """Return the values (..., d) of a field (..., Nx) at places."""
    return field[..., places if isinstance(places, slice) else _index(places, field.device)]


def _places(indices: tuple[int, ...] | None) -> slice | tuple[int, ...]:
    """Return the slice that indices are if they are evenly spaced, which gives a view, else themselves."""
    if not indices:
        return slice(None)
    first, *others = indices
    step = max(1, others[0] - first) if others else 1
    even = range(first, indices[-1] + 1, step)
    return slice(even.start, even.stop, step) if indices == tuple(even) else indices


def inverse_root(matrix: Tensor) -> Tensor:
    """Symmetric root of the inverse of symmetric positive definite matrices (..., d, d)."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.rsqrt().unsqueeze(-2)) @ vectors.mT


def _check_components(components: tuple[int, ...], state_size: int) -> None:
    if not components or list(components) != sorted(set(components) & set(range(state_size))):
        raise ValueError(
            f"observed components must be ascending indices below {state_size}, none twice, not {list(components)}"
        )


def _checked_noise(noise: Any, size: int) -> np.ndarray:
    """Return standard deviations (d,) or a covariance (d, d) in double precision, if they are that."""
    array = np.asarray(noise, dtype=np.float64)
    if array.shape not in ((size,), (size, size)):
        raise ValueError(f"observation.noise has the shape {array.shape}; right is ({size},) or ({size}, {size})")
    if array.ndim == 1 and not (np.isfinite(array) & (array > 0)).all():
        raise ValueError(f"observation.noise: standard deviations must be positive numbers, not {array.tolist()}")
    if array.ndim == 2:
        if not (np.isfinite(array).all() and np.allclose(array, array.T)):
            raise ValueError("observation.noise: a covariance must be symmetric and finite")
        least = float(np.linalg.eigvalsh(array)[0])
        if not least > 0:
            raise ValueError(
                f"observation.noise: a covariance must be positive definite, but its least eigenvalue is {least:g}"
            )
    return array
