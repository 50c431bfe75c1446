"""What all parts of report.json have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Interval = tuple[Fraction, Fraction]


class Part(BaseModel, frozen=True, strict=True, allow_inf_nan=False, validate_by_name=True, serialize_by_alias=True):
    """The base of every part: no number is NaN, and no type is converted."""
