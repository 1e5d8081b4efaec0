import pytest
import torch

from sparring.codecs import make_codec
from sparring.codecs.embedding import EmbeddingCodec
from sparring.config import Config, ConfigError
from sparring.data.vocabulary import END, UNKNOWN

LENGTH, SYMBOLS = 6, 9


def make(symbols=SYMBOLS, **options):
    torch.manual_seed(0)
    return EmbeddingCodec((LENGTH,), symbols, dim=12, **options)


def draw(count):
    samples = torch.randint(2, SYMBOLS, (count, LENGTH), generator=torch.Generator().manual_seed(0))
    ends = torch.randint(1, LENGTH + 1, (count, 1), generator=torch.Generator().manual_seed(1))
    return samples.masked_fill(torch.arange(LENGTH) >= ends, END)


@pytest.mark.parametrize("soft", [False, True])
def test_texts_come_back_and_shapes_agree(soft):
    codec, samples = make(soft=soft), draw(40)
    latents = codec.compress(samples)
    assert latents.shape == (40, *codec.latent_shape) == (40, 12, LENGTH)
    tokens = codec.encode(samples)
    assert tokens.shape == (40, LENGTH, 12)
    assert torch.equal(codec.expand(latents), samples)
    assert torch.equal(codec.decode(tokens), samples)
    if not soft:
        torch.testing.assert_close(tokens.var(-1, correction=0), torch.ones(40, LENGTH), atol=1e-2, rtol=0)


@pytest.mark.parametrize("symbols", [SYMBOLS, 3000])
def test_real_texts_are_softened_as_generated_ones_are(symbols):
    """A generator that writes a text's very embeddings cannot be told from the text, and both are read as that text."""
    codec = make(symbols, soft=True)
    with torch.no_grad():  # learnt embeddings lean to one side
        codec.patches.weight += 1.5 * torch.randn(12)
    samples = torch.randint(2, symbols, (30, LENGTH))
    written = codec.patches.table[samples]
    real = codec.compress(samples)
    torch.testing.assert_close(real, codec.patches.decode(written))
    assert (codec.patches.encode(real) - written).square().mean() > 0.05  # not the embeddings themselves
    assert torch.equal(codec.expand(real), samples)
    assert torch.equal(codec.decode(written + 0.01 * torch.randn_like(written)), samples)
    assert not (codec.decode(torch.randn(50, LENGTH, 12)) == UNKNOWN).any()


def test_the_discriminator_sees_a_symbol_s_own_embedding_and_the_gradient_of_the_softmax():
    codec, tokens = make(), torch.randn(5, LENGTH, 12, requires_grad=True)
    seen = codec.patches.encode(codec.patches.decode(tokens))
    nearest = codec.patches.logits(tokens).argmax(-1)
    torch.testing.assert_close(seen, codec.patches.table[nearest])
    assert not (nearest == UNKNOWN).any()
    direction = torch.randn_like(seen)
    (gradient,) = torch.autograd.grad((seen * direction).sum(), tokens)
    soft = make(soft=True)
    (expected,) = torch.autograd.grad((soft.patches.encode(soft.patches.decode(tokens)) * direction).sum(), tokens)
    torch.testing.assert_close(gradient, expected)
    assert gradient.abs().sum() > 0


def test_what_follows_an_end_is_not_written():
    codec = make()
    latents = codec.compress(torch.tensor([[2, END, 3, 4, 5, 6]]))
    assert codec.expand(latents).tolist() == [[2, END, END, END, END, END]]


def test_symbols_in_like_company_become_alike():
    """a and b stand before c, d and e before f."""
    codec, random = make(), torch.Generator().manual_seed(0)
    a, b, c, d, e, f = range(2, 8)
    rows = torch.tensor([[a, c, END], [b, c, END], [d, f, END], [e, f, END]])
    samples = torch.cat([rows, torch.full_like(rows, END)], 1).repeat(16, 1)
    optimizer = torch.optim.Adam(codec.parameters(), 3e-2)
    for _ in range(200):
        codec.loss(samples, random)["loss/reconstruction"].backward()
        optimizer.step()
        optimizer.zero_grad()
    likeness = torch.corrcoef(codec.patches.table.detach())
    assert min(likeness[a, b], likeness[d, e]) > max(likeness[a, d], likeness[a, e], likeness[b, d], likeness[b, e])


def test_it_is_for_texts_alone():
    config = Config().replace({"codec.name": "embedding", "model.bounded": False})
    with pytest.raises(ConfigError, match="is for texts"):
        make_codec(config, (1, 8, 8))
