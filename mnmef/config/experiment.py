"""The keys of an experiment's file that describe the experiment itself."""

from typing import Any, Literal

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from mnmef.config.fields import Count, Nonnegative, Positive, Section, Whole, knob


class Observed(Section):
    """Observed components of a state: every k-th, or a list of them."""

    every: Count | None = knob("components 0, k, 2 k, ... are observed", section="5", default=None)
    components: list[Whole] | None = knob("indices of the observed components", section="5", default=None)

    @model_validator(mode="after")
    def _one_of_two(self) -> "Observed":
        if (self.every is None) == (self.components is None):
            raise PydanticCustomError("one_of_two", "must have either every or components")
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
    grid: Literal["periodic"] | None = knob("periodic: components are points of a periodic line", section="5")
