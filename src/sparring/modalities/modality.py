"""The type of all modalities. Modules named `modality` import no PyTorch, so that `--help` is quick."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

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
    """One kind of samples. It converts them itself; four parts open, show, score and describe them.

    Samples have two forms. The networks take tensors (N, *sample_shape). A user gets what `GAN.sample` returns: a
    tensor too, or a list of strings.
    """

    name: ClassVar[str]
    """Stored with a data set and a run."""
    kind: ClassVar[str]
    """The plural noun for samples in messages and on pages."""
    axes: ClassVar[int]
    """Number of axes of a sample."""
    error_name: ClassVar[str] = "mean_squared_error"
    """The name of a codec's error in results."""
    ranges: ClassVar[tuple[int, ...]] = ()
    """Axes of a batch along which `difference` takes ranges separately, such as the channels of series."""
    tolerance: ClassVar[float] = 0.0
    """`difference` that rounding alone can make, whatever the precision of the weights."""
    repeatable: ClassVar[bool] = True
    """Whether a sample may come twice in a batch: augmented, or cut elsewhere from its data, it is another one."""
    presets: ClassVar[Mapping[str, Preset]] = {}
    """Its rows of `sparring presets`, by name."""

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
        """A codec's output in the user's form, on the CPU."""
        return self.to_user_tensor(samples.float().cpu(), spec)

    @abstractmethod
    def to_user_tensor(self, samples: Tensor, spec: DataSpec) -> Tensor:
        """The part of `to_user` that is done in tensors, and so can be exported."""

    def comparable(self, samples: Tensor, spec: DataSpec) -> Tensor:
        """The networks' samples as numbers whose differences mean something."""
        return samples

    def adapted(self, values: Any, theirs: DataSpec, ours: DataSpec) -> Tensor | None:
        """A user's samples of another data set of this modality, for the networks of `ours`; None where they do not
        fit."""
        found = self.to_model(values, ours)
        return found if found.shape[1:] == ours.sample_shape and bool(found.isfinite().all()) else None

    def joined(self, samples: Sequence[Any]) -> Any:
        """A batch of a user's single samples."""
        import torch

        return torch.stack(list(samples))

    def beside(self, first: Any, second: Any) -> Any:
        """Two batches of a user's samples in turn, one of each."""
        return self.joined([sample for pair in zip(first, second, strict=True) for sample in pair])

    def difference(self, expected: Tensor, found: Tensor) -> float:
        """The greatest difference of two outcomes of `to_user_tensor`, as a share of the expected one's range, or the
        share of numbers that only one of them has (not NaN), if that is more."""
        odd = (expected.isnan() != found.isnan()).float().mean()
        over = [axis for axis in range(expected.ndim) if axis not in self.ranges]
        low, high = expected.nan_to_num(math.inf).amin(over), expected.nan_to_num(-math.inf).amax(over)
        apart = (found - expected).abs().masked_fill(expected.isnan() | found.isnan(), 0)
        share = apart.amax(over) / (high - low).clamp_min(1e-12)
        return max(float(odd), float(share.max()))

    # ---- training -------------------------------------------------------------------------------------------------

    @abstractmethod
    def default(self, spec: DataSpec, count: int) -> Config:
        """The configuration for any `count` samples of the modality."""

    def preset(self, spec: DataSpec, size: str | None, count: int) -> Config:
        """The same with networks of a size of `preset.SIZES`, where one is named."""
        config = self.default(spec, count)
        return config if size is None else with_size(config, size)

    def check(self, config: Config, spec: DataSpec) -> None:
        """Raises `ConfigError` for settings, or facts of a stranger's run, that do not go with such samples."""
        from sparring.config import ConfigError

        if len(spec.sample_shape) != self.axes:
            raise ConfigError(f"{self.kind} have {self.axes} axes, and not the shape {spec.sample_shape}")
