"""How images become the networks' input: the section `image` of the settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Byte = Annotated[int, Field(ge=0, le=255)]
MIN_SIDE, MAX_SIDE = 8, 1024  # pixels


def _one_or_two_sides(value: Any) -> Any:
    sides = value if isinstance(value, list | tuple) and len(value) == 2 else (value,)
    if not all(type(side) is int and MIN_SIDE <= side <= MAX_SIDE for side in sides):
        each = f"{MIN_SIDE} to {MAX_SIDE} pixels"
        raise ValueError(f"should be a side or [height, width], each {each}, such as 64 or [32, 96]")
    return sides[0] if len(set(sides)) == 1 else tuple(sides)  # a square has one spelling, and with it one key


class Image(BaseModel):
    """How an image becomes the network's input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: Annotated[int | tuple[int, int], BeforeValidator(_one_or_two_sides)] = Field(
        32,
        description=f"The networks' input in pixels: a side, or [height, width], each {MIN_SIDE} to {MAX_SIDE}.",
    )
    fit: Literal["crop", "pad", "stretch"] = Field(
        "crop", description="How an image gets these proportions: crop to its middle, pad with bars, or stretch it."
    )
    color: Literal["auto", "grey", "rgb"] = Field("auto", description="auto: grey if all images are grey, else rgb.")
    background: tuple[Byte, Byte, Byte] = Field(
        (255, 255, 255), description="Red, green and blue behind transparent pixels, and of the bars of pad."
    )

    def preparation(self, channels: int) -> dict[str, Any]:
        """Return the settings of `preparation.prepare` as JSON values."""
        size = self.size if isinstance(self.size, int) else list(self.size)
        return {"size": size, "fit": self.fit, "channels": channels, "background": list(self.background)}
