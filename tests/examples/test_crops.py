import copy

import pytest
import torch
import torch.nn.functional as F

from examples.layered_video.crops import Crops
from examples.layered_video.layers import LayerCodec
from sparring.build import build
from sparring.data.bouncing import bouncing
from sparring.data.spec import DataSpec
from sparring.losses import relativistic_discriminator, relativistic_generator
from sparring.models.attention import attention_backend
from sparring.training.trainer import Trainer


def view_of(crops, channels=1, background=-1.0):
    codec = LayerCodec((channels, 4, 24, 32), 1, layers=2)
    codec.background.fill_(background)
    return Crops(codec, crops, stem=0)


def spots(*places, side=(24, 32)):
    """A frame of one channel, black but for 3×3 pixels at each (row, column)."""
    frame = torch.full((1, *side), -1.0)
    for row, column in places:
        frame[:, row - 1 : row + 2, column - 1 : column + 2] = 1
    return frame


@pytest.mark.parametrize("background", [-1.0, 0.4])
def test_what_stands_out_is_found_wherever_it_is(background):
    places = [((3, 4), (17, 26)), ((20, 30), (8, 8)), ((12, 3), (12, 25))]
    frames = torch.stack([spots(*pair) - (-1 - background) for pair in places])
    found = view_of(2, background=background).centres(frames)
    assert found.shape == (3, 2, 2)
    for pair, centres in zip(places, found.tolist(), strict=True):
        assert {tuple(centre) for centre in centres} == set(pair)


def test_the_brighter_is_found_first_and_never_twice():
    frame = spots((6, 6), (18, 22))
    frame[:, 17:20, 21:24] = 0
    found = view_of(3).centres(frame[None])[0].tolist()
    assert found[:2] == [[6, 6], [18, 22]]
    assert found[2] == [0, 0]  # nothing is left


def test_a_crop_is_the_frame_around_its_centre_and_its_gradient_goes_there():
    torch.manual_seed(0)
    frames = (0.05 * torch.randn(3, 2, 24, 32)).requires_grad_()  # fainter than what stands out
    with torch.no_grad():
        frames[:, :, 7, 9] = 1
        frames[:, :, 22, 31] = 0.9
    parts = view_of(2, channels=2, background=0.0).crop(frames)
    assert parts.shape == (6, 2, 12, 16)
    padded = F.pad(frames, (8, 8, 6, 6), mode="replicate")
    torch.testing.assert_close(parts[0::2], padded[:, :, 7:19, 9:25])
    torch.testing.assert_close(parts[1::2], padded[:, :, 22:34, 31:47])
    parts[0::2].sum().backward()
    inside = torch.zeros(24, 32)
    inside[1:13, 1:17] = 1
    assert torch.equal(frames.grad, inside.expand(3, 2, 24, 32))


def test_crops_are_of_one_frame_drawn_for_each_clip_and_else_of_the_first():
    view, clips = view_of(2), torch.randn(5, 1, 4, 24, 32)
    draw = view.draw(5, torch.Generator().manual_seed(0))
    assert draw.shape == (5, 1)
    assert torch.equal(view.draw(400, torch.Generator().manual_seed(0)).unique(), torch.arange(4))
    assert torch.equal(view(clips, draw), view.crop(torch.stack([clips[i, :, draw[i, 0]] for i in range(5)])))
    assert torch.equal(view(clips), view.crop(clips[:, :, 0]))


@pytest.mark.parametrize("drawn", [True, False])
def test_fakes_are_seen_as_samples_are_and_gradients_reach_pictures_alone(drawn):
    codec = LayerCodec((1, 4, 16, 16), 1, layers=2)
    view = Crops(codec, 2, stem=0)
    torch.manual_seed(0)
    tokens = (0.1 * torch.randn(3, 2 * (8 * 8 + codec.path_tokens), codec.picture.token_dim)).requires_grad_()
    fakes = codec.unpatchify(tokens)
    fakes = fakes + 0.1 * torch.randn(fakes.shape)  # the noise of a run with instance noise
    draw = view.draw(3, torch.Generator().manual_seed(0)) if drawn else None
    seen = view.of_fakes(fakes, tokens, draw)
    assert torch.equal(seen, view(fakes, draw))
    seen.square().sum().backward()
    gradients = tokens.grad.unflatten(1, (2, -1)).abs()
    assert gradients[:, :, :64].amax((1, 2, 3)).min() > 0
    assert gradients[:, :, 64:].max() == 0


def test_a_step_plays_the_game_twice(layered):
    """One step against the two games written out with plain autograd: of some frames, and of crops, whose penalties
    weigh less as its numbers are fewer."""
    config = layered.replace(
        {"loss.penalty": "exact", "loss.penalty_fraction": 0.5, "loss.r1": 0.7, "loss.r2": 0.3, "critics.1.weight": 0.5}
    )
    dataset = bouncing(frames=4, resolution=16, count=40)
    torch.manual_seed(0)
    trainer = Trainer(config, build(config, DataSpec.of(dataset)), dataset, torch.device("cpu"), torch.float32)
    (batch,) = trainer._batches()
    generator, critics = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.networks.critics)

    tokens = generator(batch.z, batch.condition)
    clips = trainer.codec.unpatchify(tokens)
    loss_d, loss_g = 0, 0
    for critic, draw, weight, share in zip(critics, batch.draws, (1, 0.5), (1, 8 * 8 / (2 * 16 * 16)), strict=True):
        labels = torch.zeros(8 * critic.view.crops, dtype=torch.long)
        made = critic.view.of_fakes(clips, tokens, draw.view)
        real, fake = critic.view(batch.samples, draw.view).clone().requires_grad_(), made.detach().requires_grad_()
        with attention_backend("math"):
            logits_real, logits_fake = critic(real, labels), critic(fake, labels)
        loss = relativistic_discriminator(logits_real, logits_fake).mean()
        loss = loss + config.loss.centring * (logits_real + logits_fake).square().mean()
        for logits, x, gamma in ((logits_real, real, 0.7), (logits_fake, fake, 0.3)):
            (gradient,) = torch.autograd.grad(logits[:4].sum(), x, create_graph=True)
            loss = loss + share * gamma / 2 * gradient[:4].square().flatten(1).sum(1).mean()
        loss_d = loss_d + weight * loss
        loss_g = loss_g + weight * relativistic_generator(logits_real.detach(), critic(made, labels)).mean()
    gradients_g = torch.autograd.grad(loss_g, list(generator.parameters()), allow_unused=True)
    gradients_d = torch.autograd.grad(loss_d, list(critics.parameters()))

    got = {}
    trainer._update = lambda network, *rest: got.update({network: [p.grad for p in network.parameters()]}) or loss_d
    logs = trainer.step()
    assert {"logits/gap", "critic 1/logits/gap", "critic 1/loss/r1"} <= logs.keys()
    for network, gradients in ((trainer.generator, gradients_g), (trainer.networks.critics, gradients_d)):
        for found, wanted in zip(got[network], gradients, strict=True):
            if wanted is not None:
                torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-3)
