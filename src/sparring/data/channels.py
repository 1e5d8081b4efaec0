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
    """A series' own value is `offset + scale * stored`, channel by channel.

    With `masked`, series end at different steps: one stored channel more follows the named ones, 1 at a series' steps
    and -1 beyond its end, where the others are 0.
    """

    names: tuple[str, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    masked: bool = False

    def store(self, values: Tensor) -> Tensor:
        """Own units (..., C, T), NaN beyond a series' end -> what the networks see, (..., C or C + 1, T)."""
        offset, scale = (values.new_tensor(v)[:, None] for v in (self.offset, self.scale))
        stored = (values - offset) / scale
        if not self.masked:
            return stored
        beyond = stored.isnan().all(-2, keepdim=True)
        return torch.cat([stored.masked_fill(beyond, 0), 1 - 2 * beyond.to(stored.dtype)], -2)

    def restore(self, stored: Tensor) -> Tensor:
        """The inverse of `store`: (..., C, T), NaN beyond a series' end. At least one step is always there."""
        count = len(self.names)
        offset, scale = (stored.new_tensor(v)[:, None] for v in (self.offset, self.scale))
        values = offset + scale * stored[..., :count, :]
        if self.masked:
            beyond = (stored[..., count:, :] < 0).cumsum(-1) > 0
            beyond[..., 0] = False
            values = values.masked_fill(beyond, torch.nan)
        return values

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Channels":
        numbers = {key: tuple(float(v) for v in values[key]) for key in ("offset", "scale")}
        names = tuple(map(str, values["names"]))
        if not len(names) == len(numbers["offset"]) == len(numbers["scale"]):
            raise ValueError("channels have as many names as offsets and scales")
        return cls(names, **numbers, masked=bool(values["masked"]))
