"""Texts as the embeddings of their symbols: the GAN writes every symbol of a text at once.

Shapes: B batch, N symbols of a text, V of the vocabulary, K numbers of an embedding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.codecs.patch import PatchCodec
from sparring.codecs.trained import TrainedCodec, normalized
from sparring.data.vocabulary import END, UNKNOWN, share_changed, up_to_the_end

REACH = 2
"""Symbols to either side from which one is foretold while embeddings are learnt."""
SYMBOLS_AT_ONCE = 1024  # each compared with all


class EmbeddingCodec(TrainedCodec):
    """Embeddings learnt from the company that symbols keep (CBOW: Mikolov et al. 2013), then fixed.

    Each has zero mean and unit variance over its K numbers. The GAN is trained on `latent_shape`: (K, N). With `soft`
    real texts are softened as generated ones are: what is exact would tell them apart at once.
    """

    def __init__(self, sample_shape: tuple[int, ...], vocabulary_size: int, *, dim: int = 32, soft: bool = False):
        super().__init__()
        (length,) = self.sample_shape = sample_shape
        self.latent_shape = (dim, length)
        self.patches: SymbolPatches = SymbolPatches(self.latent_shape, vocabulary_size, soft)
        self.around = nn.Embedding(vocabulary_size, dim)

    def compress(self, samples: Tensor) -> Tensor:
        """(B, N) -> (B, K, N)."""
        return PatchCodec.decode(self.patches, self.patches.shown[samples])

    def expand(self, latents: Tensor) -> Tensor:
        """(B, K, N) -> (B, N): the nearest symbols, up to the first end."""
        symbols = self.patches.nearest(self.patches.encode(latents))
        return symbols.masked_fill((symbols == END).cumsum(1) > 0, END)

    def error(self, samples: Tensor, back: Tensor) -> float:
        """The share of symbols, of the longer of two texts, that are not the same."""
        return share_changed(samples, back)

    def loss(self, samples: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The cross-entropy of each symbol, given the mean of its neighbours."""
        padded = F.pad(samples, (REACH, REACH), value=END)
        windows = padded.unfold(1, 2 * REACH + 1, 1)  # (B, N, 5)
        neighbours = torch.cat([windows[..., :REACH], windows[..., REACH + 1 :]], -1)
        logits = self.around(neighbours).mean(-2) @ self.patches.table.T
        known = up_to_the_end(samples)
        return {"loss/reconstruction": F.cross_entropy(logits[known].float(), samples[known])}


# Bengio et al. 2013, the straight-through estimator
class SymbolPatches(PatchCodec):
    """Tokens are snapped to the nearest symbol's embedding; the gradient is that of their softmax' mean.

    With `soft` it is the mean itself.
    """

    def __init__(self, latent_shape: tuple[int, ...], vocabulary_size: int, soft: bool) -> None:
        super().__init__(latent_shape, 1)
        self.soft = soft
        self.weight = nn.Parameter(torch.randn(vocabulary_size, latent_shape[0]))

    @property
    def table(self) -> Tensor:
        """The embeddings (V, K)."""
        return normalized(self.weight)

    @property
    def shown(self) -> Tensor:
        """What the discriminator sees of each symbol (V, K): its embedding, or with `soft` the mean around it."""
        table = self.table
        if not self.soft:
            return table
        return torch.cat([self.logits(part).softmax(-1) @ table for part in table.split(SYMBOLS_AT_ONCE)])

    def nearest(self, tokens: Tensor) -> Tensor:
        """The symbols (B, N) that may be written and are shown nearest to tokens (B, N, K)."""
        if not self.soft:
            return self.logits(tokens).argmax(-1)
        # Means of thousands of embeddings are much alike: the distance tells them apart, no angle does.
        shown = self.shown
        centre = shown.mean(0)
        near = (tokens - centre) @ (shown - centre).T - (shown - centre).square().sum(1) / 2
        return _without_unknown(near).argmax(-1)

    def logits(self, tokens: Tensor) -> Tensor:
        """How near tokens (..., K) are to each symbol that may be written: (..., V)."""
        return _without_unknown(normalized(tokens) @ self.table.T / self.weight.shape[1] ** 0.5)

    def decode(self, tokens: Tensor, frames: Tensor | None = None) -> Tensor:
        """(B, N, K) -> (B, K, N)."""
        logits, table = self.logits(tokens), self.table
        embedded = logits.softmax(-1) @ table
        if not self.soft:
            embedded = table[logits.argmax(-1)] + embedded - embedded.detach()
        return super().decode(embedded, frames)


def _without_unknown(logits: Tensor) -> Tensor:
    return logits.index_fill(-1, torch.tensor([UNKNOWN], device=logits.device), -torch.inf)
