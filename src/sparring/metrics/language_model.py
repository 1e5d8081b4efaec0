"""A small language model for the perplexity of texts."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.data.vocabulary import END, target_mask
from sparring.models.blocks import DiscriminatorBlock
from sparring.models.normalization import RMSNorm
from sparring.models.positions import Positions

BATCH, LR, DROPOUT = 64, 2e-3, 0.1
VALIDATION = 10  # a tenth of the texts, 1,000 at most, is for early stopping
PATIENCE = 2  # epochs without improvement


class LanguageModel(nn.Module):
    """A causal transformer over the symbols of texts (B, N), trained by maximum likelihood."""

    def __init__(self, length: int, vocabulary_size: int, *, width: int = 128, depth: int = 2, num_heads: int = 4):
        super().__init__()
        self.symbols = nn.Embedding(vocabulary_size, width)
        nn.init.normal_(self.symbols.weight, std=width**-0.5)
        self.positions = Positions((length, 1, 1), width, width // num_heads, added="learned", rotary=True)
        self.blocks = nn.ModuleList(DiscriminatorBlock(width, num_heads, pattern="causal") for _ in range(depth))
        self.norm = RMSNorm(width)

    def forward(self, texts: Tensor) -> Tensor:
        """Texts (B, N) -> logits (B, N, V) of each symbol given the symbols before it."""
        return self._to_symbols(self._read(texts))

    def _read(self, texts: Tensor) -> Tensor:
        x = self.symbols(F.pad(texts, (1, -1), value=END)) * self.symbols.embedding_dim**0.5
        x = F.dropout(self.positions(x), DROPOUT, self.training)
        for block in self.blocks:
            x = F.dropout(block(x, self.positions.rotary), DROPOUT, self.training)
        return x

    def _to_symbols(self, x: Tensor) -> Tensor:
        return (self.norm(x) @ self.symbols.weight.T).float()

    def loss(self, texts: Tensor) -> Tensor:
        """The cross-entropy of the known symbols and ends of texts (B, N)."""
        known = target_mask(texts)
        return F.cross_entropy(self._to_symbols(self._read(texts)[known]), texts[known])


def fit_language_model(texts: Tensor, vocabulary_size: int, *, seed: int = 0, epochs: int = 12) -> LanguageModel:
    """Trains on texts (B, N), 20 at least, with early stopping on a validation part."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order = torch.randperm(len(texts))
        count = max(1, min(1000, len(texts) // VALIDATION))
        validation, train = texts[order[:count]], texts[order[count:]]
        model = LanguageModel(texts.shape[1], vocabulary_size)
        optimizer = torch.optim.AdamW(model.parameters(), LR, weight_decay=1e-2)
        steps = epochs * math.ceil(len(train) / BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps, pct_start=0.1)
        best, kept, worse = math.inf, copy.deepcopy(model.state_dict()), 0
        for _ in range(epochs):
            model.train()
            for chosen in torch.randperm(len(train)).split(BATCH):
                optimizer.zero_grad()
                model.loss(train[chosen]).backward()
                optimizer.step()
                schedule.step()
            now = perplexity(model, validation)
            worse = 0 if now < best else worse + 1
            if now < best:
                best, kept = now, copy.deepcopy(model.state_dict())
            if worse == PATIENCE:
                break
        model.load_state_dict(kept)
    return model.eval()


@torch.no_grad()
def perplexity(model: LanguageModel, texts: Tensor) -> float:
    """The perplexity per symbol of texts (B, N), ends included."""
    model.eval()
    total, count = 0.0, 0
    for chunk in texts.split(256):
        if known := int(target_mask(chunk).sum()):
            total += model.loss(chunk).item() * known
            count += known
    return math.exp(min(total / max(1, count), 100.0))
