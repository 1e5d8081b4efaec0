"""Names of a series' channels, and their scaling from physical units to the networks' values."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor


def default_names(count: int) -> list[str]:
    """Names for channels without names in the file."""
    return [f"channel {index}" for index in range(1, count + 1)]


_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def header_of(name: str) -> str:
    """The name as a table's header: an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{name}" if name.startswith(_FORMULAS) else name


def name_of(header: str) -> str:
    """The inverse of `header_of`."""
    return header[1:] if header[:1] == "'" and header[1:].startswith(_FORMULAS) else header


@dataclass(frozen=True)
class Channels:
    """Each channel's value in physical units is `offset + scale * stored`. Constant channels have the scale 0, so that
    generated ones are constant too.

    With `masked`, series have unequal lengths. An extra channel after the named ones then stores the number of
    remaining steps, divided by half of all steps; it crosses 0 at the end of the series. Beyond the end the other
    channels are 0. A binary mask would be exact in real series but not in generated ones, where one error would end
    the series.
    """

    names: tuple[str, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    masked: bool = False

    def store(self, values: Tensor) -> Tensor:
        """Physical units (..., C, T), NaN beyond a series' end -> stored values (..., C or C + 1, T)."""
        offset, scale = (values.new_tensor(v)[:, None] for v in (self.offset, self.scale))
        stored = (values - offset) / scale.masked_fill(scale == 0, 1)
        if not self.masked:
            return stored
        beyond = stored.isnan().all(-2, keepdim=True)
        left = (~beyond).sum(-1, keepdim=True) - self._steps(stored)
        return torch.cat([stored.masked_fill(beyond, 0), 2 * left / stored.shape[-1]], -2)

    def restore(self, stored: Tensor) -> Tensor:
        """The inverse of `store`: (..., C, T), NaN beyond a series' end; a series has at least one step."""
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
        """The middle of each step (T,): 0.5, 1.5, ..."""
        return torch.arange(stored.shape[-1], dtype=stored.dtype, device=stored.device) + 0.5

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Channels":
        numbers = {key: tuple(float(v) for v in values[key]) for key in ("offset", "scale")}
        names = tuple(map(str, values["names"]))
        if not len(names) == len(numbers["offset"]) == len(numbers["scale"]):
            raise ValueError("channels need as many names as offsets and scales")
        return cls(names, **numbers, masked=bool(values["masked"]))
