"""Building blocks of the schema of config.yaml: numbers, names, fields with units, and the base of all sections."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from mnmef.core.names import CLASSICAL_METHODS, LEARNED_FILTERS
from mnmef.experiments.files import known_experiments


def _number(value: object) -> object:
    """Refuse what pydantic would quietly turn into a number: `true` is no 1.0."""
    if isinstance(value, bool):
        raise PydanticCustomError("float_type", "must be a number")
    return value


Int = Annotated[int, Field(strict=True)]
Whole = Annotated[Int, Field(ge=0)]
Count = Annotated[Int, Field(ge=1)]
Several = Annotated[Int, Field(ge=2)]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Switch = Annotated[bool, Field(strict=True)]
Positive = Annotated[Real, Field(gt=0)]
Nonnegative = Annotated[Real, Field(ge=0)]
Fraction = Annotated[Real, Field(ge=0, le=1)]
Factor = Annotated[Real, Field(ge=1)]
Level = Annotated[Positive, Field(ge=1e-4, le=1e6)]
"""A noise level: in names of files, and so written without an exponent."""
Some = Field(min_length=1)
"""Of a list that must not be empty."""


def one_of(names: Iterable[str]) -> Any:
    """Annotate a text that must be one of `names`, which the error text lists."""
    return Literal[tuple(names)]


def _experiment(value: object) -> object:
    """Refuse what is no name of an experiment, of the package or of a file of the user's in use."""
    known = [repr(name) for name in known_experiments()]
    if repr(value) not in known:
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(known[:-1])} or {known[-1]}"})
    return value


ExperimentName = Annotated[str, BeforeValidator(_experiment)]
MethodName = one_of(CLASSICAL_METHODS)
GridName = one_of(("default", *CLASSICAL_METHODS))
FilterName = one_of(LEARNED_FILTERS)


def knob(description: str, *, unit: str = "1", section: str = "none", default: Any = ...) -> Any:
    """Declare a field of the schema.

    Parameters
    ----------
    description : str
        Meaning of the key.
    unit : str
        "1" for a pure number.
    section : str
        Where the paper speaks of it; "none" for what is not in the paper.
    default : object
        Value of a key that is not there. Without it the key is required.
    """
    return Field(default, description=description, json_schema_extra={"unit": unit, "section": section})


class Section(BaseModel):
    """Base of all sections: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="after")
    @classmethod
    def _no_entry_twice(cls, value: Any) -> Any:
        """Refuse a list that has an entry twice, in a mapping as well."""
        parts = value.values() if isinstance(value, dict) else [value]
        for entries in (part for part in parts if isinstance(part, list)):
            twice = [entry for i, entry in enumerate(entries) if entry in entries[:i]]
            if twice:
                raise PydanticCustomError("twice", "must not have {entry} twice", {"entry": twice[0]})
        return value
