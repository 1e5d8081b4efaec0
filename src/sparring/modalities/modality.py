"""The interface of a modality. This module does not import PyTorch, so that names and presets are listed without it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from sparring.codecs.settings import CODECS, CodecSettings
from sparring.modalities.preset import Preset, with_size

if TYPE_CHECKING:
    from torch import Tensor

    from sparring.config import Config
    from sparring.data.spec import DataSpec
    from sparring.modalities.display import Display
    from sparring.modalities.opening import Opening
    from sparring.modalities.page import Page
    from sparring.modalities.scoring import Scoring


class Modality(ABC):
    """A kind of sample: its conversion, presets and checks, and four parts: opening, page, display and scoring.

    Samples have two forms. The model's form is a tensor (N, *sample_shape). The user's form is what `GAN.sample`
    returns: a tensor or a list of strings.
    """

    name: ClassVar[str]
    """The name that a data set and a run store."""
    kind: ClassVar[str]
    """The plural for messages and pages, such as "pictures"."""
    axes: ClassVar[int]
    """The number of axes of a sample."""
    error_name: ClassVar[str] = "mean_squared_error"
    """The name of a codec's error in results."""
    range_axes: ClassVar[tuple[int, ...]] = ()
    """The axes of a batch whose entries `difference` scales each by its own range."""
    tolerance: ClassVar[float] = 0.0
    """The `difference` that rounding alone can cause, whatever the precision of the weights."""
    repeatable: ClassVar[bool] = True
    """Whether a batch may hold a sample twice, because augmentation or cropping makes the two differ."""
    bounded: ClassVar[bool] = False
    """Whether all numbers of a sample lie in [-1, 1]: a generator of such samples ends in tanh."""
    symbolic: ClassVar[bool] = False
    """Whether a sample consists of numbered symbols, which only a codec made for them can encode."""
    presets: ClassVar[Mapping[str, Preset]] = {}
    """The modality's rows of `sparring presets`, by name."""

    # ---- parts ----------------------------------------------------------------------------------------------------

    opening: ClassVar[Opening]
    page: ClassVar[Page]

    @property
    @abstractmethod
    def display(self) -> Display: ...

    @property
    @abstractmethod
    def scoring(self) -> Scoring: ...

    # ---- conversion -----------------------------------------------------------------------------------------------

    def to_model(self, values: Any, spec: DataSpec) -> Tensor:
        """The inverse of `to_user`."""
        samples: Tensor = values
        return samples

    def to_user(self, samples: Tensor, spec: DataSpec) -> Any:
        """Converts decoded samples to the user's form, on the CPU."""
        return self.to_user_tensor(samples.float().cpu(), spec)

    @abstractmethod
    def to_user_tensor(self, samples: Tensor, spec: DataSpec) -> Tensor:
        """The part of `to_user` that an exported model does: tensors only."""

    def comparable(self, samples: Tensor, spec: DataSpec) -> Tensor:
        """Converts the model's form to numbers whose distances are meaningful."""
        return samples

    def adapted(self, values: Any, theirs: DataSpec, ours: DataSpec) -> Tensor | None:
        """Converts samples of another data set of this modality from the user's form to the model's form of `ours`;
        returns None if they do not fit."""
        found = self.to_model(values, ours)
        return found if found.shape[1:] == ours.sample_shape and bool(found.isfinite().all()) else None

    def stacked(self, samples: Sequence[Any]) -> Any:
        """Stacks single samples in the user's form."""
        import torch

        return torch.stack(list(samples))

    def interleaved(self, first: Any, second: Any) -> Any:
        """Interleaves two equally long batches in the user's form."""
        return self.stacked([sample for pair in zip(first, second, strict=True) for sample in pair])

    def difference(self, expected: Tensor, found: Tensor) -> float:
        """The larger of two numbers: the greatest difference of two outputs of `to_user_tensor`, as a share of the
        range of `expected`, and the share of entries that are NaN in only one of them."""
        odd = (expected.isnan() != found.isnan()).float().mean()
        over = [axis for axis in range(expected.ndim) if axis not in self.range_axes]
        low, high = expected.nan_to_num(math.inf).amin(over), expected.nan_to_num(-math.inf).amax(over)
        apart = (found - expected).abs().masked_fill(expected.isnan() | found.isnan(), 0)
        share = apart.amax(over) / (high - low).clamp_min(1e-12)
        return max(float(odd), float(share.max()))

    # ---- training -------------------------------------------------------------------------------------------------

    @abstractmethod
    def default(self, spec: DataSpec, count: int) -> Config:
        """The configuration for `count` samples of any data of this modality."""

    def preset(self, spec: DataSpec, size: str | None, count: int) -> Config:
        """The default configuration, with networks of a `size` of `preset.SIZES` if given."""
        config = self.default(spec, count)
        return config if size is None else with_size(config, size)

    def check(self, config: Config, spec: DataSpec) -> None:
        """Raises `ConfigError` if the settings, or the spec of a run from elsewhere, do not fit the modality."""
        from sparring.config import ConfigError

        if len(spec.sample_shape) != self.axes:
            raise ConfigError(f"{self.kind} have {self.axes} axes, and not the shape {spec.sample_shape}")
        if not self.fits(config.codec):
            fitting = " or ".join(name for name, settings in CODECS.items() if self.fits(settings))
            raise ConfigError(f"--codec.name {config.codec.name} does not fit {self.kind}: set it to {fitting}")

    def fits(self, codec: CodecSettings | type[CodecSettings]) -> bool:
        """Whether a codec can encode samples of this modality."""
        return not self.symbolic if codec.modalities is None else self.name in codec.modalities
