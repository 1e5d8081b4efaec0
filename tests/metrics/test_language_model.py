import math

import pytest
import torch
import torch.nn.functional as F

from sparring.data.vocabulary import END, UNKNOWN
from sparring.metrics.language_model import LanguageModel, fit_language_model, perplexity


def counting(count, seed, step=1):
    """Texts that go on from a random symbol by `step`, of 2 to 8 symbols."""
    random = torch.Generator().manual_seed(seed)
    texts = 2 + (torch.randint(10, (count, 1), generator=random) + step * torch.arange(8)) % 10
    return texts.masked_fill(torch.arange(8) >= torch.randint(2, 9, (count, 1), generator=random), END)


def test_perplexity_is_the_exponent_of_the_mean_cross_entropy_up_to_the_end():
    torch.manual_seed(0)
    model, texts = LanguageModel(8, 12, width=16, depth=1, num_heads=2).eval(), counting(300, 0)
    texts[3, 0] = UNKNOWN
    logits, total, count = model(texts), 0.0, 0
    for row, given in zip(texts.tolist(), logits, strict=True):
        for place, symbol in enumerate(row):
            if symbol != UNKNOWN:
                total += F.cross_entropy(given[place], torch.tensor(symbol)).item()
                count += 1
            if symbol == END:
                break
    assert perplexity(model, texts) == pytest.approx(math.exp(total / count), rel=1e-4)


def test_what_it_learnt_foretells_its_like_and_not_others():
    model = fit_language_model(counting(1500, 0), 12)
    known = perplexity(model, counting(300, 1))
    assert known < 2.2  # the first symbol of ten, then only the end is uncertain
    assert perplexity(model, counting(300, 1, step=3)) > 5 * known


def test_the_same_seed_gives_the_same_model_and_leaves_the_global_one_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = perplexity(fit_language_model(counting(200, 0), 12, epochs=1), counting(50, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert perplexity(fit_language_model(counting(200, 0), 12, epochs=1), counting(50, 1)) == first
