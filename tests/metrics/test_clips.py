import pytest
import torch

from sparring.data.bouncing import bouncing
from sparring.metrics import evaluate, metric_for
from sparring.metrics.clip_features import ClipFeatures
from sparring.metrics.clips import ClipMetric


@pytest.fixture(scope="module")
def dataset():
    return bouncing(frames=8, resolution=32, num_digits=1, count=400)


@pytest.fixture(scope="module")
def metric(dataset):
    return ClipMetric(dataset)


def score(metric, dataset, change=lambda clips: clips):
    clips = change(dataset.batch(torch.arange(400))[0])
    return metric(lambda num: (clips[torch.arange(num) % 400], None))


def test_real_clips_score_like_the_floor_and_changed_ones_worse(metric, dataset):
    real = score(metric, dataset)
    assert real["frechet_clips"] < 3 * real["frechet_clips_floor"]
    still = score(metric, dataset, lambda clips: clips[:, :, :1].expand_as(clips))
    assert still["frechet_clips"] > 3 * real["frechet_clips"]
    assert still["frechet_frames"] < 3 * real["frechet_frames_floor"]  # each frame for itself is as good as real
    noisy = score(metric, dataset, lambda clips: (clips + 0.3 * torch.randn_like(clips)).clamp(-1, 1))
    assert noisy["frechet_frames"] > 10 * real["frechet_frames_floor"]
    shuffled = score(metric, dataset, lambda clips: clips[:, :, torch.randperm(8)])
    assert shuffled["frechet_clips"] > 3 * real["frechet_clips"]


def test_features_are_the_same_everywhere_and_whatever_the_batch(dataset):
    clips = dataset.batch(torch.arange(6))[0]
    first, second = ClipFeatures(1, 8), ClipFeatures(1, 8)
    assert torch.equal(first(clips), second(clips))
    torch.testing.assert_close(first(clips), torch.cat([first(part) for part in clips.split(1)]))


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 16])
def test_any_number_of_frames(frames):
    assert ClipFeatures(3, frames)(torch.randn(2, 3, frames, 20, 24)).shape == (2, 48)


def test_bouncing_digits_are_measured_by_their_motion_too(dataset):
    clips = dataset.batch(torch.arange(400))[0]
    assert isinstance(metric_for(dataset), ClipMetric)
    scores = evaluate(dataset, lambda num: (clips[torch.arange(num) % 400], None), report=print)
    assert {"frechet_clips", "persistent", "speed_tv"} <= scores.keys()
