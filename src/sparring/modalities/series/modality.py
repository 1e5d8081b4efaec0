"""Series (C, T), scaled channel by channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparring.modalities.modality import Modality
from sparring.modalities.series.facts import scaling
from sparring.modalities.series.opening import SeriesOpening
from sparring.modalities.series.page import SeriesPage
from sparring.modalities.series.presets import PRESETS, series

if TYPE_CHECKING:
    from torch import Tensor

    from sparring.config import Config
    from sparring.data.spec import DataSpec
    from sparring.modalities.display import Display
    from sparring.modalities.scoring import Scoring


class Series(Modality):
    """A person's series are in their own units, NaN beyond their ends."""

    name, kind, axes = "series", "series", 2
    ranges = (1,)  # its channels

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
        return scaling(spec).store(values)

    def to_user_tensor(self, samples: Tensor, spec: DataSpec) -> Tensor:
        return scaling(spec).restore(samples)

    def adapted(self, values: Any, theirs: DataSpec, ours: DataSpec) -> Tensor | None:
        """Channels are matched by their names; an array, which has none, has as many in the same order."""
        from torch import nan
        from torch.nn.functional import pad

        from sparring.data.channels import unnamed

        names, found = scaling(ours).names, list(theirs.channel_names)
        if found == unnamed(len(names)):
            found = list(names)
        if sorted(found) != sorted(names):
            return None
        values = values[:, [found.index(name) for name in names]]
        if scaling(ours).masked:  # shorter ones only end sooner
            values = pad(values, (0, max(0, ours.sample_shape[1] - values.shape[2])), value=nan)
        return super().adapted(values, theirs, ours)

    def default(self, spec: DataSpec, count: int) -> Config:
        return series(spec.sample_shape[1], whitened=not scaling(spec).masked)

    def check(self, config: Config, spec: DataSpec) -> None:
        from sparring.config import ConfigError

        super().check(config, spec)
        if spec.channels is None:
            raise ConfigError("series need channels, and these have none")
        if config.augment.flip or config.augment.color:
            raise ConfigError("--augment.flip and --augment.color are for pictures and clips: drop them for series")
