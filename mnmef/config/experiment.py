"""The keys of an experiment's file that describe the experiment itself."""

from typing import Any, Literal

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from mnmef.config.fields import Count, Fraction, Nonnegative, Positive, Real, Section, Whole, knob
from mnmef.core.references import split_reference


class Observed(Section):
    """Observations of a state: which components, or which function of it, with which noise, and what is missing."""

    every: Count | tuple[Count, Count] | None = knob(
        "components 0, k, 2 k, ... are observed; [k, l]: every k-th row and l-th column of a square grid",
        section="5",
        default=None,
    )
    components: list[Whole] | None = knob("indices of the observed components", section="5", default=None)

    function: str | None = knob("identity, arctan, square, abs, my_model.py:radiance or dapper", default=None)
    sites: tuple[Whole, ...] | None = knob("grid points of the observations, for localization", default=None)
    noise: tuple[Positive, ...] | tuple[tuple[Real, ...], ...] | None = knob(
        "standard deviations in units of sigma_y, or a covariance in units of sigma_y^2", default=None
    )
    distribution: Literal["gaussian", "laplace"] | None = knob("of the noise", default=None)
    missing: Fraction | None = knob("fraction that is missing at random at each time", default=None)
    available: str | None = knob("my_model.py:network, what is observed at a time", default=None)

    @model_validator(mode="after")
    def _one_of_two(self) -> "Observed":
        both, none = self.every and self.components, self.every is None and self.components is None
        if both or (none and self.function != "dapper" and split_reference(self.function) is None):
            raise PydanticCustomError("one_of_two", "must have either every or components")
        return self


class ProcessNoise(Section):
    """Gaussian noise that the truth and every forecast add to the state."""

    per_step: Nonnegative | tuple[Nonnegative, ...] | None = knob(
        "standard deviation, of all components or of each, at every step", unit="state units", default=None
    )
    per_cycle: Nonnegative | tuple[Nonnegative, ...] | None = knob(
        "the same, at every observation time", unit="state units", default=None
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> "ProcessNoise":
        if (self.per_step is None) == (self.per_cycle is None):
            raise PydanticCustomError("one_of_two", "must have either per_step or per_cycle")
        return self


class Description(Section):
    """A twin experiment: a system and its observations."""

    name: str = knob("stem of its file")
    title: str = knob("how figures call it")
    system: dict[str, Any] = knob("name and options of the dynamics; see mnmef/systems", section="5")
    observation: Observed = knob("what is observed", section="5")
    steps_per_cycle: Count = knob("steps of the system between observations", section="5")
    bound: Positive = knob("on an analysis component of a learned filter", unit="state units", section="A")
    first_spread: Positive = knob("deviation of the first ensemble from the truth", unit="state units", section="5")
    burn_in_time: Nonnegative = knob("until a first state is on the attractor", unit="model time units", section="5")
    grid: Literal["periodic", "plane", "dapper"] | None = knob(
        "periodic: components are points of a periodic line; plane: of a periodic square, row by row; dapper: the "
        "distances of the module",
        section="5",
    )
    process_noise: ProcessNoise | None = knob("what the truth and forecasts add to a state", default=None)
    truth: dict[str, Any] | None = knob(
        "what the system of the truths has in place of the forecasts': options, or a name with its options",
        default=None,
    )
