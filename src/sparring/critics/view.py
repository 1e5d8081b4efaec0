"""Views: the part or form of samples that a discriminator sees."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from sparring.codecs.codec import Codec
from sparring.codecs.tokenizer import Tokenizer


class View(nn.Module, ABC):
    """Maps samples, or a codec's latents, to the input of a discriminator; `tokenizer` splits it into tokens.

    A real sample and its paired fake share one draw, so that only their content differs. The codec must not become a
    submodule of a view: its weights would be stored twice.
    """

    shape: tuple[int, ...]
    """Shape of one view."""
    tokenizer: Tokenizer
    crops: int = 1
    """Views per sample."""
    separate_frames: bool = False
    """Whether the discriminator's stem must convolve each frame separately."""

    def draw(self, count: int, generator: torch.Generator) -> Any:
        """The random choices of a step for `count` samples; None if there are none."""
        return None

    @abstractmethod
    def forward(self, samples: Tensor, draw: Any = None) -> Tensor:
        """(B, *sample_shape) -> (B · crops, *shape). Without a draw: a fixed choice."""

    def of_fakes(self, fakes: Tensor, tokens: Tensor, draw: Any = None) -> Tensor:
        """The view of fakes. It may use the generator's `tokens` to choose where gradients flow."""
        view: Tensor = self(fakes, draw)
        return view


class Whole(View):
    """The whole sample."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.shape = codec.latent_shape
        object.__setattr__(self, "tokenizer", codec.tokenizer)  # a submodule of the codec alone

    def forward(self, samples: Tensor, draw: Any = None) -> Tensor:
        return samples
