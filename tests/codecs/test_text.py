import pytest
import torch

from sparring.build import build
from sparring.codecs.settings import PatchSettings, TextSettings
from sparring.codecs.text import TextCodec
from sparring.config import Config, ConfigError
from sparring.data.spec import DataSpec
from sparring.data.vocabulary import END, UNKNOWN, Vocabulary

LENGTH, SYMBOLS = 6, 9


def make(**options):
    torch.manual_seed(0)
    return TextCodec((LENGTH,), SYMBOLS, latents=3, latent_dim=8, width=32, depth=1, **options)


def draw(count, seed=0):
    """Texts of 1 to 6 symbols; each is its neighbour's successor, so that there is something to learn."""
    random = torch.Generator().manual_seed(seed)
    first = torch.randint(2, SYMBOLS, (count, 1), generator=random)
    samples = 2 + (first - 2 + torch.arange(LENGTH)) % (SYMBOLS - 2)
    ends = torch.randint(1, LENGTH + 1, (count, 1), generator=random)
    return samples.masked_fill(torch.arange(LENGTH) >= ends, END)


def test_shapes_agree_in_both_directions():
    codec, samples = make(), draw(5)
    latents = codec.encode(samples)
    assert latents.shape == (5, *codec.latent_shape) == (5, 8, 3)
    tokens = codec.tokenizer.patchify(latents)
    assert tokens.shape == (5, 3, 8)
    back = codec.decode(latents)
    assert back.shape == samples.shape
    assert back.dtype == torch.int64
    torch.testing.assert_close(tokens.mean(-1), torch.zeros(5, 3), atol=1e-5, rtol=0)


def test_a_symbol_is_foretold_from_those_before_it_alone():
    codec, samples = make(), draw(4)
    latents = codec.encode(samples)
    logits = codec.logits(latents, samples)
    changed = samples.clone()
    changed[:, 3:] = 2
    torch.testing.assert_close(codec.logits(latents, changed)[:, :4], logits[:, :4])
    assert not torch.allclose(codec.logits(latents, changed)[:, 4:], logits[:, 4:])
    assert not torch.allclose(codec.logits(latents.flip(0), samples), logits)


def test_writing_is_the_likeliest_symbol_each_time_and_stops_at_the_end():
    codec, samples = make(), draw(20)
    latents = codec.encode(samples)
    written = codec.decode(latents)
    best = codec.logits(latents, written)
    best[..., UNKNOWN] = -torch.inf
    ended = (written == END).cumsum(1) > 0
    before_the_end = ended.cumsum(1) <= 1
    assert torch.equal(written[before_the_end], best.argmax(-1)[before_the_end])
    assert (written[ended] == END).all()
    assert not (written == UNKNOWN).any()


def test_loss_counts_the_end_once_and_nothing_unknown(monkeypatch):
    monkeypatch.setattr("sparring.codecs.text.WORD_DROPOUT", 0.0)
    codec, samples = make(noise=0.0), draw(30)
    samples[0, 0] = UNKNOWN
    logits, total, count = codec.logits(codec.encode(samples), samples), 0.0, 0
    for row, given in zip(samples.tolist(), logits.log_softmax(-1), strict=True):
        for place in range(row.index(END) + 1 if END in row else LENGTH):
            if row[place] != UNKNOWN:
                total, count = total - given[place, row[place]].item(), count + 1
    loss = codec.loss(samples, torch.Generator().manual_seed(0))["loss/reconstruction"]
    assert loss.item() == pytest.approx(total / count, rel=1e-4)


def test_error_is_the_share_of_symbols_that_changed():
    codec = make()
    first, second = torch.tensor([[2, 3, 0, 0]]), torch.tensor([[2, 4, 5, 0]])
    assert codec.error(first, second) == pytest.approx(2 / 3)
    assert codec.error(first, first) == 0


def test_it_learns_to_repeat_what_it_read():
    codec = make(noise=0.1)
    optimizer = torch.optim.Adam(codec.parameters(), 3e-3)
    random = torch.Generator().manual_seed(0)
    for step in range(400):
        codec.loss(draw(32, step), random)["loss/reconstruction"].backward()
        optimizer.step()
        optimizer.zero_grad()
    unseen = draw(100, 1000)
    with torch.no_grad():
        assert codec.error(unseen, codec.decode(codec.encode(unseen))) < 0.05


def test_settings_make_the_codec_of_texts_alone():
    spec = DataSpec((LENGTH,), vocabulary=Vocabulary.learn(["abc"], "char", 10), modality="text")
    assert TextSettings().build(spec, 1).latent_shape == (16, 4)
    with pytest.raises(ConfigError, match="patch does not fit texts: set it to text"):
        build(Config(codec=PatchSettings()), spec)
    with pytest.raises(ConfigError, match="text does not fit pictures: set it to patch or autoencoder"):
        build(Config(codec=TextSettings()), DataSpec((1, 8, 8), modality="image"))
