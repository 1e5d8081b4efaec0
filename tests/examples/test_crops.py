import copy

import pytest
import torch
import torch.nn.functional as F
from sparring.codecs.glimpses import Glimpses
from sparring.codecs.layers import Layers

from sparring.build import Networks
from sparring.config import ConfigError
from sparring.data.bouncing import bouncing
from sparring.data.spec import DataSpec
from sparring.losses import relativistic_discriminator, relativistic_generator
from sparring.models.attention import attention_backend
from sparring.training.trainer import Trainer

GLIMPSED = {
    "codec.name": "layers",
    "codec.patch_size": 2,
    "codec.seen_frames": 2,
    "codec.glimpses": 2,
    "model.bounded": False,
    "data.path": "bouncing",
    "train.evaluate_every": 0,
}


def spots(*places, side=(24, 32)):
    """A frame of one channel, black but for 3×3 pixels at each (row, column)."""
    frame = torch.full((1, *side), -1.0)
    for row, column in places:
        frame[:, row - 1 : row + 2, column - 1 : column + 2] = 1
    return frame


@pytest.mark.parametrize("background", [-1.0, 0.4])
def test_what_stands_out_is_found_wherever_it_is(background):
    glimpses = Glimpses((1, 24, 32), count=2, patch_size=1, multiple=1)
    behind = torch.full((1, 24, 32), background)
    places = [((3, 4), (17, 26)), ((20, 30), (8, 8)), ((12, 3), (12, 25))]
    frames = torch.stack([spots(*pair) - (-1 - background) for pair in places])
    found = glimpses.find(frames, behind)
    assert found.shape == (3, 2, 2)
    for pair, centres in zip(places, found.tolist(), strict=True):
        assert {tuple(centre) for centre in centres} == set(pair)


def test_the_brighter_is_found_first_and_never_twice():
    glimpses = Glimpses((1, 24, 32), count=3, patch_size=1, multiple=1)
    frame = spots((6, 6), (18, 22))
    frame[:, 17:20, 21:24] = 0
    found = glimpses.find(frame[None], torch.full((1, 24, 32), -1.0))[0].tolist()
    assert found[:2] == [[6, 6], [18, 22]]
    assert found[2] == [0, 0]  # nothing is left


def test_a_glimpse_is_the_frame_around_it_and_its_slope_goes_there():
    glimpses = Glimpses((2, 24, 32), count=2, patch_size=1, multiple=1)
    torch.manual_seed(0)
    frames = (0.05 * torch.randn(3, 2, 24, 32)).requires_grad_()  # fainter than what stands out
    with torch.no_grad():
        frames[:, :, 7, 9] = 1
        frames[:, :, 22, 31] = 0.9
    parts = glimpses.look(frames, torch.zeros(2, 24, 32))
    assert parts.shape == (6, 2, 12, 16)
    padded = F.pad(frames, (8, 8, 6, 6), mode="replicate")
    torch.testing.assert_close(parts[0::2], padded[:, :, 7:19, 9:25])
    torch.testing.assert_close(parts[1::2], padded[:, :, 22:34, 31:47])
    parts[0::2].sum().backward()
    inside = torch.zeros(24, 32)
    inside[1:13, 1:17] = 1
    assert torch.equal(frames.grad, inside.expand(3, 2, 24, 32))


def test_a_step_plays_the_game_twice(tiny):
    """One step against the two games written out with plain autograd: of whole stretches, and of what is seen close up,
    whose penalties weigh less as its numbers are fewer."""
    config = tiny.replace(
        GLIMPSED | {"loss.penalty": "exact", "loss.penalty_fraction": 0.5, "loss.r1": 0.7, "loss.r2": 0.3}
    )
    dataset = bouncing(frames=4, resolution=16, count=40)
    torch.manual_seed(0)
    trainer = Trainer(config, Networks(config, DataSpec.of(dataset)), dataset, torch.device("cpu"), torch.float32)
    trainer.patches.background.fill_(-1)
    (batch,) = trainer._batches()
    generator, discriminator = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.discriminator)
    patches, close = trainer.patches, discriminator.close

    tokens = generator(batch.z, batch.class_labels)
    films = patches.decode(tokens, batch.frames)
    parts = patches.close.at_made(tokens, batch.frames, None)
    assert torch.equal(parts, patches.close.at_samples(films))
    loss_d, loss_g = 0, 0
    for judge, real, made, share in (
        (lambda x: discriminator(patches.seen.encode(x)), batch.samples, films, 1),
        (
            lambda x: close(patches.close.patches.encode(x)),
            patches.close.at_samples(batch.samples),
            parts,
            8 * 8 / (2 * 16 * 16),
        ),
    ):
        real, fake = real.clone().requires_grad_(), made.detach().requires_grad_()
        with attention_backend("math"):
            logits_real, logits_fake = judge(real), judge(fake)
        loss_d = loss_d + relativistic_discriminator(logits_real, logits_fake).mean()
        loss_d = loss_d + config.loss.centring * (logits_real + logits_fake).square().mean()
        for logits, x, gamma in ((logits_real, real, 0.7), (logits_fake, fake, 0.3)):
            (slope,) = torch.autograd.grad(logits[:4].sum(), x, create_graph=True)
            loss_d = loss_d + share * gamma / 2 * slope[:4].square().flatten(1).sum(1).mean()
        loss_g = loss_g + relativistic_generator(logits_real.detach(), judge(made)).mean()
    slopes_g = torch.autograd.grad(loss_g, list(generator.parameters()), allow_unused=True)
    slopes_d = torch.autograd.grad(loss_d, list(discriminator.parameters()))

    got = {}
    trainer._update = lambda network, *rest: got.update({network: [p.grad for p in network.parameters()]}) or loss_d
    logs = trainer.step()
    assert {"logits/gap", "close/logits/gap", "close/loss/r1"} <= logs.keys()
    for network, slopes in ((trainer.generator, slopes_g), (trainer.discriminator, slopes_d)):
        for found, wanted in zip(got[network], slopes, strict=True):
            if wanted is not None:
                torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-3)


def test_where_a_thing_is_is_not_judged_by_what_is_seen_close_up():
    codec = Layers((1, 4, 16, 16), 1, patch_frames=1, layers=2, seen_frames=2, glimpses=2)
    torch.manual_seed(0)
    tokens = (0.1 * torch.randn(3, 2 * (8 * 8 + codec.path_tokens), codec.canvas.token_dim)).requires_grad_()
    frames = codec.draw_stretches(3, torch.Generator().manual_seed(0))
    codec.close.at_made(tokens, frames, torch.zeros(3, 1, 2, 16, 16)).square().sum().backward()
    slopes = tokens.grad.unflatten(1, (2, -1)).abs()
    assert slopes[:, :, :64].amax((1, 2, 3)).min() > 0
    assert slopes[:, :, 64:].max() == 0


def test_a_run_with_glimpses_stops_and_goes_on_as_any_other(tiny, straight_and_broken):
    dataset = bouncing(frames=4, resolution=16, count=40)
    one, other = straight_and_broken(tiny.replace(GLIMPSED), dataset, at=24)
    assert torch.equal(one.sample(5), other.sample(5))
    assert one.discriminator.close is not None


def test_glimpses_are_for_layers(tiny):
    with pytest.raises(ConfigError, match=r"codec\.glimpses has no effect with --codec\.name patch"):
        tiny.replace({"codec.glimpses": 2})
