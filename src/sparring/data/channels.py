"""What the channels of a series are called, and how its own units become the networks' numbers and back."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor


def unnamed(count: int) -> list[str]:
    """What channels are called where the file does not say."""
    return [f"channel {index}" for index in range(1, count + 1)]


@dataclass(frozen=True)
class Channels:
    """A series' own value is `offset + scale * stored`, channel by channel; a constant channel has the scale 0, so that
    it comes back as it was whatever the networks make of it.

    With `masked`, series end at different steps: one stored channel more follows the named ones and says how many
    steps are left, twice their share of all, which falls through 0 at the end; beyond it the others are 0. A mask of
    ones would be exact in real series and never in generated ones, and a single slip would end one of these.
    """

    names: tuple[str, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    masked: bool = False

    def store(self, values: Tensor) -> Tensor:
        """Own units (..., C, T), NaN beyond a series' end -> what the networks see, (..., C or C + 1, T)."""
        offset, scale = (values.new_tensor(v)[:, None] for v in (self.offset, self.scale))
        stored = (values - offset) / scale.masked_fill(scale == 0, 1)
        if not self.masked:
            return stored
        beyond = stored.isnan().all(-2, keepdim=True)
        left = (~beyond).sum(-1, keepdim=True) - self._steps(stored)
        return torch.cat([stored.masked_fill(beyond, 0), 2 * left / stored.shape[-1]], -2)

    def restore(self, stored: Tensor) -> Tensor:
        """The inverse of `store`: (..., C, T), NaN beyond a series' end. At least one step is always there."""
        count = len(self.names)
        offset, scale = (stored.new_tensor(v)[:, None] for v in (self.offset, self.scale))
        values = offset + scale * stored[..., :count, :]
        if self.masked:
            steps = self._steps(stored)
            ends = (steps + stored[..., count:, :] * (stored.shape[-1] / 2)).mean(-1, keepdim=True)
            values = values.masked_fill(steps > ends.round().clamp_min(1), torch.nan)
        return values

    @staticmethod
    def _steps(stored: Tensor) -> Tensor:
        """The middles of all steps (T,), 0.5 the first."""
        return torch.arange(stored.shape[-1], dtype=stored.dtype, device=stored.device) + 0.5

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Channels":
        numbers = {key: tuple(float(v) for v in values[key]) for key in ("offset", "scale")}
        names = tuple(map(str, values["names"]))
        if not len(names) == len(numbers["offset"]) == len(numbers["scale"]):
            raise ValueError("channels have as many names as offsets and scales")
        return cls(names, **numbers, masked=bool(values["masked"]))
