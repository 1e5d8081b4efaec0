"""A trained autoencoder of texts.

Shapes: B batch, N symbols of a text, V of the vocabulary, L latents of K numbers, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.codecs.codec import Codec, normalized
from sparring.codecs.patch import Patches
from sparring.data.vocabulary import END, UNKNOWN, symbol_error_rate, target_mask
from sparring.models.attention import KVCache
from sparring.models.blocks import DiscriminatorBlock
from sparring.models.initialization import initialize
from sparring.models.normalization import RMSNorm
from sparring.models.positions import Positions

NUM_HEADS = 4
WORD_DROPOUT = 0.1  # share of the decoder's input symbols (Bowman et al. 2016)


class TextCodec(Codec):
    """Learned queries encode a text to latents; a causal transformer with the latents as a prefix decodes them.

    As in `AutoencoderCodec`, each latent has zero mean and unit variance over its K numbers, and noise of fixed size
    makes the latent space smooth. `latent_shape` is (K, L).
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

    def logits(self, latents: Tensor, texts: Tensor) -> Tensor:
        """Logits (B, N, V) of each symbol of texts (B, N), given latents (B, K, L) and the symbols before it."""
        return self._to_symbols(self._features(latents, texts))

    def _features(self, latents: Tensor, texts: Tensor) -> Tensor:
        before = self.places(self._embed(F.pad(texts, (1, -1), value=END)))
        x = torch.cat([self._prefix(latents), before], 1)
        for block in self.decoder:
            x = block(x, self.places.rotary)
        return x[:, len(self.latent_places) :]

    def decode(self, latents: Tensor) -> Tensor:
        """(B, K, L) -> (B, N) by greedy decoding: the most likely symbol at each position, one after the other."""
        written = torch.full((latents.shape[0], self.sample_shape[0]), END, device=latents.device)
        symbols, unfinished = written[:, :1], torch.ones_like(written[:, :1], dtype=torch.bool)
        front, caches = self._prefix(latents), [KVCache() for _ in self.decoder]
        added, rotary = self.places.added, self.places.rotary
        assert added is not None
        assert rotary is not None
        for place in range(written.shape[1]):
            x = torch.cat([front, self._embed(symbols) + added[place]], 1)
            for block, cache in zip(self.decoder, caches, strict=True):
                x = block(x, rotary[:, place : place + 1], cache)
            symbols = self._best(self._to_symbols(x[:, -1:])).where(unfinished, END)
            written[:, place : place + 1] = symbols
            unfinished &= symbols != END
            if not torch.compiler.is_exporting() and not unfinished.any():
                break
            front = front[:, :0]
        return written

    def error(self, samples: Tensor, decoded: Tensor) -> float:
        """The share of differing symbols, relative to the longer text of each pair."""
        return symbol_error_rate(samples, decoded)

    def loss(self, samples: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The cross-entropy of the symbols up to the end, given noisy latents."""
        latents = self.encode(samples)
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        latents = latents + self.noise * noise
        # The output layer over thousands of symbols is the most expensive part: compute it for targets only.
        targets = target_mask(samples)
        # With some input symbols missing, the decoder has to use the latents.
        dropped = torch.rand(samples.shape, generator=generator, device=samples.device) < WORD_DROPOUT
        logits = self._to_symbols(self._features(latents, samples.masked_fill(dropped, UNKNOWN))[targets])
        return {"loss/reconstruction": F.cross_entropy(logits, samples[targets])}

    def _prefix(self, latents: Tensor) -> Tensor:
        return self.from_latent(normalized(self.tokenizer.patchify(latents))) + self.latent_places

    def _to_symbols(self, x: Tensor) -> Tensor:
        return (self.decoder_norm(x) @ self.symbols.weight.T).float()

    def _embed(self, symbols: Tensor) -> Tensor:
        return self.symbols(symbols) * self.symbols.embedding_dim**0.5

    def _best(self, logits: Tensor) -> Tensor:
        """The most likely symbols, without UNKNOWN."""
        return logits.index_fill(-1, torch.tensor([UNKNOWN], device=logits.device), -torch.inf).argmax(-1)
