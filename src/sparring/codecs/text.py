"""A trained codec for texts: numbered symbols to a few latents and back.

Shapes: B batch, N symbols of a text, V of the vocabulary, L latents of K numbers, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.codecs.codec import Codec, normalized
from sparring.codecs.patch import Patches
from sparring.data.vocabulary import END, UNKNOWN, share_changed, up_to_the_end
from sparring.models.attention import KVCache
from sparring.models.blocks import DiscriminatorBlock
from sparring.models.initialization import initialize
from sparring.models.normalization import RMSNorm
from sparring.models.positions import Positions

NUM_HEADS = 4
HIDDEN = 0.1  # of what is written, while the codec trains


class TextCodec(Codec):
    """Learned queries gather a text into latents; a causal transformer with them in front writes it again.

    As in `AutoencoderCodec`, a latent has zero mean and unit variance over its K numbers, and noise of a fixed size on
    it keeps neighbours alike. The GAN is trained on `latent_shape`: (K, L).
    """

    learns = True

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        vocabulary_size: int,
        *,
        latents: int,
        latent_dim: int = 16,
        width: int = 96,
        depth: int = 2,
        noise: float = 0.7,
    ) -> None:
        super().__init__()
        (length,) = self.sample_shape = sample_shape
        self.noise = noise
        self.latent_shape = (latent_dim, latents)
        self.tokenizer = Patches(self.latent_shape, 1)
        self.symbols = nn.Embedding(vocabulary_size, width)
        nn.init.normal_(self.symbols.weight, std=width**-0.5)
        self.places = Positions((length, 1, 1), width, width // NUM_HEADS, added="learned", rotary=True)
        self.queries = nn.Parameter(torch.randn(latents, width))
        self.encoder = nn.ModuleList(DiscriminatorBlock(width, NUM_HEADS) for _ in range(depth))
        self.encoder_norm = RMSNorm(width)
        self.to_latent = nn.Linear(width, latent_dim)
        self.from_latent = nn.Linear(latent_dim, width)
        self.latent_places = nn.Parameter(torch.randn(latents, width))
        self.decoder = nn.ModuleList(DiscriminatorBlock(width, NUM_HEADS, pattern="causal") for _ in range(depth))
        self.decoder_norm = RMSNorm(width)
        initialize(self.to_latent)
        initialize(self.from_latent)

    def encode(self, samples: Tensor) -> Tensor:
        """(B, N) -> (B, K, L)."""
        x = self.places(self._embed(samples))
        x = torch.cat([self.queries.expand(len(x), -1, -1).to(x.dtype), x], 1)
        for block in self.encoder:
            x = block(x, self.places.rotary)
        x = self.to_latent(self.encoder_norm(x[:, : len(self.queries)]))
        return self.tokenizer.unpatchify(normalized(x.float()))

    def logits(self, latents: Tensor, written: Tensor) -> Tensor:
        """What comes at each place (B, N, V), given latents (B, K, L) and what is written (B, N) before it."""
        return self._to_symbols(self._read(latents, written))

    def _read(self, latents: Tensor, written: Tensor) -> Tensor:
        before = self.places(self._embed(F.pad(written, (1, -1), value=END)))
        x = torch.cat([self._prefix(latents), before], 1)
        for block in self.decoder:
            x = block(x, self.places.rotary)
        return x[:, len(self.latent_places) :]

    def decode(self, latents: Tensor) -> Tensor:
        """(B, K, L) -> (B, N): the likeliest symbol at each place, one after the other."""
        written = torch.full((latents.shape[0], self.sample_shape[0]), END, device=latents.device)
        symbols, going = written[:, :1], torch.ones_like(written[:, :1], dtype=torch.bool)
        front, caches = self._prefix(latents), [KVCache() for _ in self.decoder]
        added, rotary = self.places.added, self.places.rotary
        assert added is not None
        assert rotary is not None
        for place in range(written.shape[1]):
            x = torch.cat([front, self._embed(symbols) + added[place]], 1)
            for block, cache in zip(self.decoder, caches, strict=True):
                x = block(x, rotary[:, place : place + 1], cache)
            symbols = self._best(self._to_symbols(x[:, -1:])).where(going, END)
            written[:, place : place + 1] = symbols
            going &= symbols != END
            if not torch.compiler.is_exporting() and not going.any():
                break
            front = front[:, :0]
        return written

    def error(self, samples: Tensor, decoded: Tensor) -> float:
        """The share of symbols, of the longer of two texts, that are not the same."""
        return share_changed(samples, decoded)

    def loss(self, samples: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The cross-entropy of the symbols up to the end, given latents with noise."""
        latents = self.encode(samples)
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        latents = latents + self.noise * noise
        # Most of the work is that of telling thousands of symbols apart: only where it counts.
        known = up_to_the_end(samples)
        # Where it cannot always read what is before a place, the decoder heeds the latents.
        hidden = torch.rand(samples.shape, generator=generator, device=samples.device) < HIDDEN
        logits = self._to_symbols(self._read(latents, samples.masked_fill(hidden, UNKNOWN))[known])
        return {"loss/reconstruction": F.cross_entropy(logits, samples[known])}

    def _prefix(self, latents: Tensor) -> Tensor:
        return self.from_latent(normalized(self.tokenizer.patchify(latents))) + self.latent_places

    def _to_symbols(self, x: Tensor) -> Tensor:
        return (self.decoder_norm(x) @ self.symbols.weight.T).float()

    def _embed(self, symbols: Tensor) -> Tensor:
        return self.symbols(symbols) * self.symbols.embedding_dim**0.5

    def _best(self, logits: Tensor) -> Tensor:
        """The likeliest symbols that are known."""
        return logits.index_fill(-1, torch.tensor([UNKNOWN], device=logits.device), -torch.inf).argmax(-1)
