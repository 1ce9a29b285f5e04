"""What all sections of the schema of config.yaml are made of: numbers, names, fields with units, and their base."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError


def _number(value: object) -> object:
    """Refuse what pydantic would quietly turn into a number: `true` is no 1.0."""
    if isinstance(value, bool):
        raise PydanticCustomError("float_type", "must be a number")
    return value


Int = Annotated[int, Field(strict=True)]
Count = Annotated[Int, Field(ge=1)]
Members = Annotated[Int, Field(ge=2)]
Trials = Annotated[Int, Field(ge=2)]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Switch = Annotated[bool, Field(strict=True)]
Positive = Annotated[Real, Field(gt=0)]
Loss = Annotated[str, Field(pattern=r"^(nl2|l2|rmse|crps|spread)(\+(nl2|l2|rmse|crps|spread))*$")]
Nonnegative = Annotated[Real, Field(ge=0)]
Fraction = Annotated[Real, Field(ge=0, le=1)]
SystemName = Literal["lorenz63", "lorenz96", "ks"]
GriddedName = Literal["lorenz96", "ks"]


def knob(description: str, *, unit: str = "1", section: str, **limits: Any) -> Any:
    """A field of the schema: what it means, in which unit ("1" for a pure number), and where the paper speaks of it."""
    return Field(description=description, json_schema_extra={"unit": unit, "section": section}, **limits)


class Section(BaseModel):
    """Base of all sections: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
