"""A view: the part or form of samples that a discriminator sees."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from sparring.codecs.codec import Codec
from sparring.codecs.tokenizer import Tokenizer


class View(nn.Module, ABC):
    """Maps samples, or a codec's latents, to what the discriminator sees; `tokenizer` cuts that into tokens.

    Real samples and fakes of a pair are seen through one draw, so that nothing but their content differs.
    """

    shape: tuple[int, ...]
    """Of one sample as it is seen."""
    tokenizer: Tokenizer
    crops: int = 1
    """How many such are seen of each sample."""
    separate_frames: bool = False
    """Whether a discriminator's stem must convolve each frame by itself."""

    def draw(self, count: int, generator: torch.Generator) -> Any:
        """The randomness of a step for `count` samples; None where there is none."""
        return None

    @abstractmethod
    def forward(self, samples: Tensor, draw: Any = None) -> Tensor:
        """(B, *sample_shape) -> (B · crops, *shape). Without a draw: a fixed choice."""

    def of_fakes(self, fakes: Tensor, tokens: Tensor, draw: Any = None) -> Tensor:
        """The same for fakes. A view may also use the generator's `tokens`, to choose where gradients go."""
        seen: Tensor = self(fakes, draw)
        return seen


class Whole(View):
    """All of each sample."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.shape, self.tokenizer = codec.latent_shape, codec.tokenizer

    def forward(self, samples: Tensor, draw: Any = None) -> Tensor:
        return samples
