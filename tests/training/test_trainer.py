import copy

import pytest
import torch

from sparring.build import Networks
from sparring.data.spec import DataSpec
from sparring.losses import energy_distance, relativistic_discriminator, relativistic_generator
from sparring.training.trainer import Trainer


def make(config, dataset, seed=0):
    torch.manual_seed(seed)
    networks = Networks(config, DataSpec.of(dataset))
    return Trainer(config, networks, dataset, torch.device("cpu"), torch.float32)


def weights(trainer):
    return {name: value.clone() for name, value in trainer.state()[0].items()}


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_step_is_the_relativistic_game_with_exact_penalties(tiny, shapes):
    """One step against the same step written out with plain autograd and Adam."""
    config = tiny.replace(
        {"loss.penalty": "exact", "loss.penalty_fraction": 1.0, "loss.r1": 0.7, "loss.r2": 0.3, "loss.centring": 0.05}
    )
    trainer = make(config, shapes)
    (batch,) = trainer._batches()
    generator, discriminator = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.discriminator)
    optim = config.optim
    factor = optim.final_lr + (1 - optim.final_lr)  # no warm-up, cosine at its top
    adam = {"lr": optim.lr * factor, "betas": (0.0, optim.beta2), "eps": 1e-8}
    optimizer_g = torch.optim.Adam(generator.parameters(), **adam)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), **adam)

    def judge(samples):
        return discriminator(trainer.patches.encode(samples), batch.class_labels)

    fakes = trainer.patches.decode(generator(batch.z, batch.class_labels))
    real, fake = batch.samples.clone().requires_grad_(), fakes.detach().requires_grad_()
    logits_real, logits_fake = judge(real), judge(fake)
    (slope_real,) = torch.autograd.grad(logits_real.sum(), real, create_graph=True)
    (slope_fake,) = torch.autograd.grad(logits_fake.sum(), fake, create_graph=True)
    loss_d = relativistic_discriminator(logits_real, logits_fake).mean()
    loss_d = loss_d + 0.35 * slope_real.square().sum((1, 2, 3)).mean()
    loss_d = loss_d + 0.15 * slope_fake.square().sum((1, 2, 3)).mean()
    loss_d = loss_d + 0.05 * (logits_real + logits_fake).square().mean()
    loss_g = relativistic_generator(logits_real.detach(), judge(fakes)).mean()
    slopes_g = torch.autograd.grad(loss_g, list(generator.parameters()))
    loss_d.backward()
    for weight, slope in zip(generator.parameters(), slopes_g, strict=True):
        weight.grad = slope
    optimizer_d.step()
    optimizer_g.step()

    trainer.step()
    for expected, network in ((generator, trainer.generator), (discriminator, trainer.discriminator)):
        for (name, value), got in zip(expected.named_parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(got, value, atol=2e-5, rtol=1e-4, msg=name)


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
    moments = [{n: v for n, v in weights(t).items() if n.endswith("exp_avg")} for t in (whole, parts)]
    for name, gradient in moments[0].items():  # beta1 = 0: the first moment is the gradient
        torch.testing.assert_close(moments[1][name], gradient, atol=1e-6, rtol=1e-3, msg=name)


def test_discriminator_is_not_moved_by_the_generators_loss(tiny, shapes):
    trainer = make(tiny, shapes)
    trainer.step()
    assert all(p.grad is None for p in trainer.discriminator.parameters())
    assert all(p.grad is None for p in trainer.generator.parameters())


@pytest.mark.parametrize("name", ["relativistic", "non-saturating", "minimax", "hinge", "least-squares", "wasserstein"])
def test_every_loss_steps(tiny, shapes, name):
    trainer = make(tiny.replace({"loss.name": name}), shapes)
    before = weights(trainer)
    logs = trainer.step()
    assert all(torch.isfinite(value) for value in logs.values())
    after = weights(trainer)
    for network in ("generator", "discriminator"):
        assert any(not torch.equal(before[n], after[n]) for n in before if n.startswith(network))


def test_seed_decides_everything(tiny, shapes):
    first, second, other = make(tiny, shapes), make(tiny, shapes), make(tiny.replace({"train.seed": 1}), shapes)
    for trainer in (first, second, other):
        trainer.step()
    assert_equal(weights(first), weights(second))
    assert not torch.equal(first.generator.scale.weight, other.generator.scale.weight)


def test_bfloat16_keeps_losses_and_penalties_in_float32(tiny, shapes):
    torch.manual_seed(0)
    networks = Networks(tiny, DataSpec.of(shapes))
    trainer = Trainer(tiny, networks, shapes, torch.device("cpu"), torch.bfloat16)
    (batch,) = trainer._batches()
    fakes = trainer.generate(batch.z, batch.class_labels)
    assert fakes.dtype == torch.float32
    assert trainer.judge(fakes, batch.class_labels).dtype == torch.float32
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
        return float((energy_distance(fakes, samples, labels) - energy_distance(samples, samples, labels)).mean())

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
        samples = trainer.patches.decode(trainer.ema.model(z, labels))
    left, right = samples[..., :4].mean((1, 2, 3)), samples[..., 4:].mean((1, 2, 3))
    assert ((left > right) == (labels == 0)).float().mean() > 0.95
    assert (left - right).abs().mean() > 1.2


def test_instance_noise_is_on_all_the_discriminator_sees_and_ends_halfway(tiny, shapes):
    config = tiny.replace({"loss.instance_noise": 0.8})
    clean, noisy = make(tiny, shapes), make(config, shapes)
    (clear,), (disturbed,) = clean._batches(), noisy._batches()
    added = disturbed.samples - clear.samples
    assert added.std().item() == pytest.approx(0.8, rel=0.15)
    fakes = torch.zeros(8, 1, 8, 8)
    on_fakes = disturbed.disturbed(fakes)
    assert on_fakes.std().item() == pytest.approx(0.8, rel=0.15)
    assert abs(torch.corrcoef(torch.stack([added.flatten(), on_fakes.flatten()]))[0, 1]) < 0.2
    noisy.samples_seen = 16  # of 64: half of the way down
    assert noisy._batches()[0].noise.std().item() == pytest.approx(0.4, rel=0.15)
    noisy.samples_seen = 32
    assert noisy._batches()[0].noise is None
    assert clear.disturbed(fakes) is fakes
    stays = make(config.replace({"loss.final_noise": 0.4}), shapes)
    for seen, sigma in ((0, 0.8), (16, 0.6), (32, 0.4), (56, 0.4)):
        stays.samples_seen = seen
        assert stays._batches()[0].noise.std().item() == pytest.approx(sigma, rel=0.15)


def test_gamma_grows_with_the_size_of_a_sample(tiny, shapes):
    """64 numbers a sample: gamma_size 16 is four times the penalty."""
    strong = {"loss.r1": 4.0, "loss.r2": 4.0}
    scaled, plain = make(tiny.replace({"loss.gamma_size": 16}), shapes), make(tiny.replace(strong), shapes)
    scaled.step()
    plain.step()
    assert_equal(weights(scaled), weights(plain))


def test_gamma_falls_evenly_on_a_log_scale(tiny, shapes):
    """Half-way to a hundredth it is a tenth."""
    config = tiny.replace({"loss.r1": 2.0, "loss.r2": 2.0, "loss.final_gamma": 0.01})
    falling, plain = make(config, shapes), make(tiny.replace({"loss.r1": 0.2, "loss.r2": 0.2}), shapes)
    assert falling.gamma == 1
    falling.samples_seen = plain.samples_seen = 32  # of 64
    assert falling.gamma == pytest.approx(0.1)
    falling.step()
    plain.step()
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(falling)[name], value, rtol=1e-4, atol=1e-5)
    falling.samples_seen = 64
    assert falling.gamma == pytest.approx(0.01)
