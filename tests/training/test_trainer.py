import copy

import pytest
import torch

from sparring.build import build
from sparring.data.spec import DataSpec
from sparring.losses import energy_distance, relativistic_discriminator, relativistic_generator
from sparring.training.trainer import Trainer


def make(config, dataset, seed=0):
    torch.manual_seed(seed)
    return Trainer(config, build(config, DataSpec.of(dataset)), dataset, torch.device("cpu"), torch.float32)


def weights(trainer):
    return {name: value.clone() for name, value in trainer.state()[0].items()}


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def gradients(trainer):
    """By weight: the first moment is the gradient, as beta1 = 0."""
    return {name: value for name, value in weights(trainer).items() if name.endswith("exp_avg")}


def assert_gradients_close(first, second):
    """A gradient that all but cancels is as exact as the largest."""
    largest = max(float(gradient.abs().max()) for gradient in second.values())
    for name, gradient in second.items():
        torch.testing.assert_close(first[name], gradient, atol=1e-5 * largest, rtol=1e-3, msg=name)


def test_step_is_the_relativistic_game_with_exact_penalties(tiny, shapes):
    """One step against the same step written out with plain autograd and Adam."""
    config = tiny.replace(
        {"loss.penalty": "exact", "loss.penalty_fraction": 1.0, "loss.r1": 0.7, "loss.r2": 0.3, "loss.centring": 0.05}
    )
    trainer = make(config, shapes)
    (batch,) = trainer._batches()
    generator, critic = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.critics[0])
    optim = config.optim
    adam = {"lr": optim.lr, "betas": (0.0, optim.beta2), "eps": 1e-8}
    optimizer_g = torch.optim.Adam(generator.parameters(), **adam)
    optimizer_d = torch.optim.Adam(critic.parameters(), **adam)

    def discriminate(samples):
        return critic.discriminator(trainer.codec.tokenizer.patchify(samples), batch.condition)

    fakes = trainer.codec.unpatchify(generator(batch.z, batch.condition))
    real, fake = batch.samples.clone().requires_grad_(), fakes.detach().requires_grad_()
    logits_real, logits_fake = discriminate(real), discriminate(fake)
    (gradient_real,) = torch.autograd.grad(logits_real.sum(), real, create_graph=True)
    (gradient_fake,) = torch.autograd.grad(logits_fake.sum(), fake, create_graph=True)
    loss_d = relativistic_discriminator(logits_real, logits_fake).mean()
    loss_d = loss_d + 0.35 * gradient_real.square().sum((1, 2, 3)).mean()
    loss_d = loss_d + 0.15 * gradient_fake.square().sum((1, 2, 3)).mean()
    loss_d = loss_d + 0.05 * (logits_real + logits_fake).square().mean()
    loss_g = relativistic_generator(logits_real.detach(), discriminate(fakes)).mean()
    gradients_g = torch.autograd.grad(loss_g, list(generator.parameters()))
    loss_d.backward()
    for weight, gradient in zip(generator.parameters(), gradients_g, strict=True):
        weight.grad = gradient
    optimizer_d.step()
    optimizer_g.step()

    trainer.step()
    for expected, network in ((generator, trainer.generator), (critic, trainer.critics[0])):
        largest = max(float(value.grad.abs().max()) for value in expected.parameters())
        for (name, value), got in zip(expected.named_parameters(), network.parameters(), strict=True):
            told = value.grad.abs() > 1e-5 * largest  # else the sign, which is Adam's first step, is that of rounding
            assert told.any(), name
            torch.testing.assert_close(got[told], value[told], atol=2e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {
            "augment.probability": 0.5,
            "augment.cutout": 0.25,
            "augment.flip": True,
            "loss.energy": 0.3,
            "model.noise_dim": 16,
        },
    ],
)
def test_restored_trainer_goes_on_bit_for_bit(tiny, shapes, extra):
    config = tiny.replace(extra)
    straight = make(config, shapes)
    for _ in range(3):
        straight.step()
    tensors, counts = straight.state()
    tensors = {name: value.clone() for name, value in tensors.items()}
    resumed = make(config, shapes, seed=99)
    resumed.restore(tensors, counts)
    for _ in range(7):  # across an epoch's end
        straight.step()
        resumed.step()
    assert resumed.samples_seen == straight.samples_seen == 80
    assert_equal(weights(resumed), weights(straight))


def test_micro_batches_add_up_to_the_batch(tiny, shapes):
    """Without penalties and with one draw of z, four micro-batches of two are a batch of eight."""
    config = tiny.replace({"loss.r1": 0, "loss.r2": 0})
    whole, parts = make(config, shapes), make(config.replace({"train.micro_batch_size": 2}), shapes)
    (batch,) = whole._batches()
    pieces = parts._batches()
    assert len(pieces) == 4
    for index, piece in enumerate(pieces):
        piece.z = batch.z[2 * index : 2 * index + 2]
        assert torch.equal(piece.samples, batch.samples[2 * index : 2 * index + 2])
    whole._batches, parts._batches = lambda: [batch], lambda: pieces
    logs_whole, logs_parts = whole.step(), parts.step()
    for name in logs_whole:
        torch.testing.assert_close(logs_parts[name], logs_whole[name], atol=1e-4, rtol=1e-3, msg=name)
    assert_gradients_close(gradients(parts), gradients(whole))


def test_discriminator_is_not_moved_by_the_generators_loss(tiny, shapes):
    trainer = make(tiny, shapes)
    trainer.step()
    assert all(p.grad is None for p in trainer.critics[0].parameters())
    assert all(p.grad is None for p in trainer.generator.parameters())


@pytest.mark.parametrize("name", ["relativistic", "non-saturating", "minimax", "hinge", "least-squares", "wasserstein"])
def test_every_loss_steps(tiny, shapes, name):
    trainer = make(tiny.replace({"loss.name": name}), shapes)
    before = weights(trainer)
    logs = trainer.step()
    assert all(torch.isfinite(value) for value in logs.values())
    after = weights(trainer)
    for network in ("generator", "critics"):
        assert any(not torch.equal(before[n], after[n]) for n in before if n.startswith(network))


def test_seed_decides_everything(tiny, shapes):
    first, second, other = make(tiny, shapes), make(tiny, shapes), make(tiny.replace({"train.seed": 1}), shapes)
    for trainer in (first, second, other):
        trainer.step()
    assert_equal(weights(first), weights(second))
    assert not torch.equal(first.generator.scale.weight, other.generator.scale.weight)


def test_bfloat16_keeps_losses_and_penalties_in_float32(tiny, shapes):
    torch.manual_seed(0)
    networks = build(tiny, DataSpec.of(shapes))
    trainer = Trainer(tiny, networks, shapes, torch.device("cpu"), torch.bfloat16)
    (batch,) = trainer._batches()
    fakes = trainer.generate(batch.z, batch.condition)
    assert fakes.dtype == torch.float32
    assert trainer.logits(trainer.critics[0], fakes, batch.condition).dtype == torch.float32
    assert all(torch.isfinite(value) for value in trainer.step().values())
    assert all(p.dtype == torch.float32 for p in trainer.generator.parameters())


def test_energy_distance_alone_makes_samples_of_each_class(tiny, shapes):
    """With a weight that drowns the game, what the generator makes of a class is spread as the data are."""
    changes = {"loss.energy": 100.0, "train.num_samples": 8_000, "optim.lr": 3e-3}
    trainer = make(tiny.replace(changes), shapes)
    samples, labels = shapes.batch(torch.arange(40))

    def distance():
        z = torch.randn(40, trainer.generator.z_size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            fakes = trainer.generate(z, labels)
        alike = labels[:, None] == labels
        return float((energy_distance(fakes, samples, alike) - energy_distance(samples, samples, alike)).mean())

    before = distance()
    trainer.fit(lambda logs: True)
    assert distance() < 0.1 * before


@pytest.mark.parametrize("name", ["relativistic", "non-saturating"])
def test_learns_the_classes_of_a_toy_set(tiny, shapes, name):
    """The textbook game and today's both learn which half is bright."""
    config = tiny.replace(
        {"train.num_samples": 12_000, "train.batch_size": 16, "model.width": 32, "optim.lr": 1e-3, "loss.name": name}
    )
    trainer = make(config, shapes)
    trainer.fit(lambda logs: True)
    labels = torch.arange(64) % 2
    z = torch.randn(64, trainer.generator.z_size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        samples = trainer.codec.unpatchify(trainer.ema.model(z, labels))
    left, right = samples[..., :4].mean((1, 2, 3)), samples[..., 4:].mean((1, 2, 3))
    assert ((left > right) == (labels == 0)).float().mean() > 0.95
    assert (left - right).abs().mean() > 1.2


def test_instance_noise_is_on_all_the_discriminator_sees_and_ends_halfway(tiny, shapes):
    config = tiny.replace({"loss.instance_noise": 0.8})
    clean, noisy = make(tiny, shapes), make(config, shapes)
    (clear,), (dirty,) = clean._batches(), noisy._batches()
    added = dirty.samples - clear.samples
    assert added.std().item() == pytest.approx(0.8, rel=0.15)
    fakes = torch.zeros(8, 1, 8, 8)
    on_fakes = dirty.noisy(fakes)
    assert on_fakes.std().item() == pytest.approx(0.8, rel=0.15)
    assert abs(torch.corrcoef(torch.stack([added.flatten(), on_fakes.flatten()]))[0, 1]) < 0.2
    noisy.samples_seen = 16  # of 64: half of the way down
    assert noisy._batches()[0].noise.std().item() == pytest.approx(0.4, rel=0.15)
    noisy.samples_seen = 32
    assert noisy._batches()[0].noise is None
    assert clear.noisy(fakes) is fakes
    stays = make(config.replace({"loss.final_noise": 0.4}), shapes)
    for seen, sigma in ((0, 0.8), (16, 0.6), (32, 0.4), (56, 0.4)):
        stays.samples_seen = seen
        assert stays._batches()[0].noise.std().item() == pytest.approx(sigma, rel=0.15)


def test_a_second_critic_adds_its_losses_by_its_weight(tiny, shapes):
    """A critic of weight 0 changes neither player, and one of weight 1 moves the generator elsewhere."""
    one = make(tiny, shapes)
    none, two = (
        make(tiny.replace({"critics.1.view": "whole", "critics.1.depth": 2, "critics.1.weight": weight}), shapes)
        for weight in (0.0, 1.0)
    )
    for trainer in (none, two):
        assert len(trainer.critics) == 2
        for mine, theirs in ((trainer.generator, one.generator), (trainer.critics[0], one.critics[0])):
            mine.load_state_dict(theirs.state_dict())
    (batch,) = one._batches()
    logs = []
    for trainer in (one, none, two):
        pieces = trainer._batches()
        pieces[0].z, pieces[0].draws[0] = batch.z, batch.draws[0]
        trainer._batches = lambda pieces=pieces: pieces
        logs.append(trainer.step())
    gradients = [{n: v for n, v in weights(t).items() if n.startswith("optimizer.generator") and "exp_avg" in n}
                 for t in (one, none, two)]  # fmt: skip
    assert any(not torch.allclose(gradients[2][n], v) for n, v in gradients[0].items())
    for name, value in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], value, atol=1e-6, rtol=1e-4)
    assert {"loss/d", "critic 1/loss/d", "critic 1/logits/gap"} <= logs[2].keys()
    assert "critic 1/loss/d" not in logs[0]


def test_gamma_falls_evenly_on_a_log_scale(tiny, shapes):
    """Half-way to a hundredth it is a tenth."""
    config = tiny.replace({"loss.r1": 2.0, "loss.r2": 2.0, "loss.final_gamma": 0.01})
    falling, plain = make(config, shapes), make(tiny.replace({"loss.r1": 0.2, "loss.r2": 0.2}), shapes)
    assert falling.gamma == 1
    falling.samples_seen = plain.samples_seen = 32  # of 64
    assert falling.gamma == pytest.approx(0.1)
    falling.step()
    plain.step()
    assert_gradients_close(gradients(falling), gradients(plain))
    falling.samples_seen = 64
    assert falling.gamma == pytest.approx(0.01)
