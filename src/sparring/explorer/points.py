"""Points of z as the page names them, in JSON."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from sparring.directions import COUNT

SEEDS = 2**32
MOST = 256
"""Points in one request."""

Offset = Annotated[float, Field(ge=-100, le=100)]


Number = Annotated[float, Field(allow_inf_nan=False)]


class _Point(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Steered(_Point):
    condition: int | list[Number] | None = None
    """The number of a class, or numbers. None: what falls to the sample in turn, or a projected one's own."""
    psi: float = Field(1.0, ge=0, le=2)
    offsets: list[Offset] = Field([], max_length=COUNT)
    """How far it is moved along each of the directions."""


class Drawn(_Steered):
    """Sample `index` of a seed, as `GAN.sample` counts."""

    seed: int = Field(ge=0, lt=SEEDS)
    index: int = Field(ge=0, lt=2**31)


class Projected(_Steered):
    """Row `latent` of the file of latents."""

    latent: int = Field(ge=0)


def _kind(value: Any) -> str:
    names = value if isinstance(value, dict) else value.model_fields_set if isinstance(value, _Point) else ()
    return "mixture" if "from" in names or "start" in names else "projected" if "latent" in names else "drawn"


End = Annotated[
    Annotated[Drawn, Tag("drawn")] | Annotated[Projected, Tag("projected")],
    Discriminator(_kind),
]


class Mixture(_Point):
    """A point between two others: `t` = 0 is the first, 1 the second. Condition and psi are those of the nearer one."""

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


class Wanted(_Point):
    """What the page sends to have points rendered."""

    points: list[Point] = Field(min_length=1, max_length=MOST)
