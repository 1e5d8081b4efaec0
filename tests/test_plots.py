import math

import pytest
import torch
from PIL import Image

from sparring.display import plots
from sparring.metrics.series_scores import autocorrelation


def test_autocorrelation_of_a_sine_and_of_noise():
    time = torch.arange(200.0)
    sines = torch.sin(2 * math.pi * (time / 20 + torch.rand(50, 1)))
    correlation = autocorrelation(sines)
    assert len(correlation) == 100
    assert correlation[0] == pytest.approx(1, abs=1e-4)
    assert correlation[10] < -0.9
    assert correlation[20] > 0.9
    assert autocorrelation(torch.randn(500, 50))[1:].abs().max() < 0.1


def test_what_lies_beyond_the_end_does_not_count():
    series = torch.randn(300, 40).cumsum(1)
    longer = torch.cat([series, torch.full((300, 40), torch.nan)], 1)
    expected = autocorrelation(series)
    torch.testing.assert_close(autocorrelation(longer)[: len(expected)], expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("channels", "steps", "count"), [(1, 2, 3), (3, 24, 40), (9, 50, 5)])
def test_comparison_is_drawn(tmp_path, channels, steps, count):
    samples, real = torch.randn(count, channels, steps), torch.randn(count + 1, channels, steps)
    samples[0, :, steps // 2 + 1 :] = torch.nan
    real[:, 0] = 3.0  # a constant channel
    plots.compare(samples, real, tuple(f"c{i}" for i in range(channels)), tmp_path / "deep/plot.png")
    with Image.open(tmp_path / "deep/plot.png") as image:
        assert image.width == 1200
        assert len(image.convert("RGB").getcolors(1 << 24)) > 20
