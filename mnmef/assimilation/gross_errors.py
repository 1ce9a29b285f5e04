"""A check of observations against the forecast: a gross error is taken as missing, and counted."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from mnmef.assimilation.restart import assumed_noise
from mnmef.core.errors import check_class, positive_number
from mnmef.experiments.experiment import Experiment
from mnmef.filters.base import CycleResult, Draws, Filter
from mnmef.io.files import variable


class GrossErrorCheck(Filter):
    """A filter that takes observations as missing whose innovations are too large to be noise and forecast error.

    An observation y is left out where `|y - mean h(v_n)| > limit sqrt(var h(v_n) + R)` (Dee et al. 2001, the background
    check). `assimilate` counts in `rejected` (cycle) what was left out, which is no part of innovations. A filter that
    has lost the truth rejects good observations, too.

    Parameters
    ----------
    inner : Filter
        A filter with a stand-alone analysis and a `sigma_y`.
    limit : float
        Largest innovation in standard deviations; 5 is usual.

    Raises
    ------
    ValueError
        For a limit that is no positive number, and a filter without a forecast ensemble.
    """

    name: ClassVar[str] = "checked"

    def __init__(self, inner: Filter, limit: float) -> None:
        check_class("inner", inner, Filter)
        self.inner, self.limit, self.sigma_y = inner, positive_number("limit", limit), assumed_noise(inner)
        self.name, self.needs_noise = inner.name, inner.needs_noise  # type: ignore[misc]
        self.made_for, self.tuned_members, self.is_batch = inner.made_for, inner.tuned_members, inner.is_batch
        self.rejected: list[int] = []

    def start(self, ensemble: Tensor) -> Any:
        """Return the first ensemble, and begin to count."""
        if type(self.inner).cycle is not Filter.cycle:
            raise ValueError(f"a check of gross errors needs a filter with a stand-alone analysis, not {self.name}")
        self.rejected = []
        return ensemble

    def cycle(self, carry: Any, observation: Tensor, experiment: Experiment, noise: Draws = None) -> CycleResult:
        """Run a cycle of the inner filter without gross errors (see `Filter.cycle`)."""
        forecast = experiment.propagate(carry)
        observed = experiment.observe(forecast)
        covariance = self.sigma_y**2 * experiment.observation.covariance()
        noise_variance = torch.as_tensor(covariance.diagonal() if covariance.ndim == 2 else covariance).to(observed)
        is_gross = (observation - observed.mean(-2)).square() > self.limit**2 * (observed.var(-2) + noise_variance)
        self.rejected.append(int(is_gross.sum()))
        kept = observation.masked_fill(is_gross, torch.nan)
        refined = self.inner.refine(carry, forecast, kept, experiment)
        analysis = self.inner.update(refined, kept, experiment, noise)
        return CycleResult(forecast, analysis, analysis, is_gross)


def count_rejected(filter_: Filter) -> dict[str, Any]:
    """Return the variable `rejected` (cycle) of a run with a check of gross errors; nothing of one without."""
    if not isinstance(filter_, GrossErrorCheck):
        return {}
    return {"rejected": variable("cycle", filter_.rejected, "observations rejected as gross errors")}
