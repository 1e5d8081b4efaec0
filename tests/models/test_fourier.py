import math

import torch
from torch import nn

from sparring.models.fourier import FourierEmbedding, embedding


def test_is_linear_in_the_numbers_and_in_the_sines_and_cosines_of_the_formula():
    torch.manual_seed(0)
    module, tokens = FourierEmbedding(3, 16, frequency=2.0), torch.randn(5, 4, 3)
    angles = torch.einsum("bnk,kf->bnf", tokens, module.frequencies)
    features = torch.cat([angles.sin(), angles.cos(), tokens], -1) * math.sqrt(2)
    torch.testing.assert_close(module(tokens), features @ module.embed.weight.T + module.embed.bias)
    assert module(tokens).shape == (5, 4, 16)
    assert abs(FourierEmbedding(1, 4096, frequency=7.0).frequencies.std().item() - 7) < 0.5


def test_tells_near_points_apart_where_a_linear_embedding_cannot():
    """A wave of 10 periods between -1 and 1 is a linear function of the features, not of the numbers."""
    torch.manual_seed(0)
    points = torch.linspace(-1, 1, 400)[:, None, None]
    wave = (10 * math.pi * points).sin().flatten()
    left = []
    for frequency in (0.0, 30.0):
        features = embedding(1, 128, frequency)(points).flatten(1).detach().double()
        found = torch.linalg.lstsq(features, wave[:, None].double(), rcond=1e-4, driver="gelsd").solution
        left.append((features @ found - wave[:, None]).square().mean() / wave.square().mean())
    assert left[0] > 0.8
    assert left[1] < 0.01


def test_frequencies_are_kept_with_the_weights_and_not_learnt():
    module = embedding(2, 8, 1.0)
    assert "frequencies" in module.state_dict()
    assert all(parameter.shape != (2, 4) for parameter in module.parameters())
    assert isinstance(embedding(2, 8, 0.0), nn.Linear)
