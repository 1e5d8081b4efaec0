"""Points of z in the JSON of the page's requests."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from sparring.directions import COUNT

SEEDS = 2**32
MAX_POINTS = 256
"""Points in one request."""

Offset = Annotated[float, Field(ge=-100, le=100)]


Number = Annotated[float, Field(allow_inf_nan=False)]


class _Point(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Steered(_Point):
    condition: int | list[Number] | None = None
    """A class number or numbers. None: the next condition in turn, or the projected sample's own."""
    psi: float = Field(1.0, ge=0, le=2)
    offsets: list[Offset] = Field([], max_length=COUNT)
    """Offset along each direction."""


class Drawn(_Steered):
    """Sample `index` of a seed, as in `GAN.sample`."""

    seed: int = Field(ge=0, lt=SEEDS)
    index: int = Field(ge=0, lt=2**31)


class Projected(_Steered):
    """Row `latent` of the latents file."""

    latent: int = Field(ge=0)


def _kind(value: Any) -> str:
    names = value if isinstance(value, dict) else value.model_fields_set if isinstance(value, _Point) else ()
    return "mixture" if "from" in names or "start" in names else "projected" if "latent" in names else "drawn"


End = Annotated[
    Annotated[Drawn, Tag("drawn")] | Annotated[Projected, Tag("projected")],
    Discriminator(_kind),
]


class Mixture(_Point):
    """An interpolation: `t` = 0 is the start, 1 the end. Condition and psi are those of the nearer one."""

    start: End = Field(alias="from")
    end: End = Field(alias="to")
    t: float = Field(ge=0, le=1)

    @property
    def nearer(self) -> Drawn | Projected:
        return self.start if self.t < 0.5 else self.end


Point = Annotated[
    Annotated[Drawn, Tag("drawn")] | Annotated[Projected, Tag("projected")] | Annotated[Mixture, Tag("mixture")],
    Discriminator(_kind),
]


class RenderRequest(_Point):
    points: list[Point] = Field(min_length=1, max_length=MAX_POINTS)
