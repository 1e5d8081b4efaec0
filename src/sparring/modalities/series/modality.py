"""Time series (C, T), scaled by channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparring.modalities.modality import Modality
from sparring.modalities.page import Page
from sparring.modalities.series.opening import SeriesOpening
from sparring.modalities.series.presets import PRESETS, series

if TYPE_CHECKING:
    from torch import Tensor

    from sparring.config import Config
    from sparring.data.channels import Channels
    from sparring.data.spec import DataSpec
    from sparring.modalities.display import Display
    from sparring.modalities.scoring import Scoring


class SeriesPage(Page):
    kind = "series"

    def shape(self, spec: DataSpec) -> list[int]:
        """The shape without the channel that marks a series' end."""
        return [len(spec.channel_names), *spec.sample_shape[1:]]

    def encode(self, samples: Any) -> bytes:
        """Little-endian float32."""
        return samples.float().numpy().astype("<f4").tobytes()

    def returns(self, spec: DataSpec, count: int) -> str:
        return f"({', '.join(map(str, (count, *spec.sample_shape)))}), in the data's units"


class Series(Modality):
    """The user's form is in the data's units, NaN beyond the end of a series."""

    name, kind, axes = "series", "series", 2
    range_axes = (1,)  # channels

    opening = SeriesOpening()
    page = SeriesPage()
    presets = PRESETS

    @property
    def display(self) -> Display:
        from sparring.modalities.series.display import SeriesDisplay

        return SeriesDisplay(self.kind)

    @property
    def scoring(self) -> Scoring:
        from sparring.modalities.series.scoring import SeriesScoring

        return SeriesScoring()

    def to_model(self, values: Any, spec: DataSpec) -> Tensor:
        return _channels(spec).store(values)

    def to_user_tensor(self, samples: Tensor, spec: DataSpec) -> Tensor:
        return _channels(spec).restore(samples)

    def adapted(self, values: Any, theirs: DataSpec, ours: DataSpec) -> Tensor | None:
        """Matches channels by name; unnamed channels must be equally many and in the same order."""
        from torch import nan
        from torch.nn.functional import pad

        from sparring.data.channels import default_names

        names, found = _channels(ours).names, list(theirs.channel_names)
        if found == default_names(len(names)):
            found = list(names)
        if sorted(found) != sorted(names):
            return None
        values = values[:, [found.index(name) for name in names]]
        if _channels(ours).masked:  # a shorter series ends earlier
            values = pad(values, (0, max(0, ours.sample_shape[1] - values.shape[2])), value=nan)
        return super().adapted(values, theirs, ours)

    def default(self, spec: DataSpec, count: int) -> Config:
        return series(spec.sample_shape[1], whitened=not _channels(spec).masked)

    def check(self, config: Config, spec: DataSpec) -> None:
        from sparring.config import ConfigError

        super().check(config, spec)
        if spec.channels is None:
            raise ConfigError("series need channels, and these have none")
        if spec.channels.masked and config.codec.name in ("whitened", "components"):
            raise ConfigError(f"--codec.name {config.codec.name} is for series of equal length: set it to patch")
        if config.augment.flip or config.augment.color:
            raise ConfigError("--augment.flip and --augment.color are for pictures and clips: drop them for series")


def _channels(spec: DataSpec) -> Channels:
    assert spec.channels is not None, "series have channels"
    return spec.channels
