import pytest
import torch

from sparring.data import DataError
from sparring.data.bouncing import bouncing
from sparring.data.dataset import TensorDataset
from sparring.metrics.clip_features import ClipFeatures
from sparring.metrics.clips import ClipMetric
from sparring.modalities.metrics import evaluate


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
    alone = torch.cat([first(part) for part in clips.split(1)])
    torch.testing.assert_close(first(clips), alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 16])
def test_any_number_of_frames(frames):
    assert ClipFeatures(3, frames)(torch.randn(2, 3, frames, 20, 24)).shape == (2, 48 + 3 * 16)


GROUPS = {"frechet": {"frechet_clips"}, "frames": {"frechet_frames"}, "c2st": {"c2st"}}


def test_what_is_chosen_alone_scores_as_among_all(dataset, metric):
    noise = 0.1 * torch.randn(400, 1, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    clips = dataset.batch(torch.arange(400))[0] + noise

    def sample(num):
        return clips[torch.arange(num) % 400], None

    left = evaluate(dataset, sample, report=print)
    assert {fact: left.pop(fact) for fact in metric.facts} == metric.facts
    for name, scores in GROUPS.items():
        alone = evaluate(dataset, sample, metrics=[name], report=print)
        assert {fact: alone.pop(fact) for fact in metric.facts} == metric.facts
        assert alone.keys() == {score + beside for score in scores for beside in ("", "_floor")}
        assert alone == {score: left.pop(score) for score in alone}
    assert not left
    assert metric.facts["count"] == 400
    assert metric.facts["extractor"].startswith("sparring-clips")
    by_score = evaluate(dataset, sample, metrics=["frechet_frames"], report=print)
    assert by_score == evaluate(dataset, sample, metrics=["frames"], report=print)
    assert "frechet_clips" in evaluate(dataset, sample, metrics=["fd"], report=print)


def test_what_is_not_chosen_is_not_made(dataset):
    still = ClipMetric(dataset, metrics=["frames"])
    assert [look.score for look in still.views] == ["frechet_frames"]
    neither = ClipMetric(dataset, metrics=[])
    assert not neither.views
    assert neither(pytest.fail) == {}


def test_a_metric_of_clips_that_is_not_there_is_refused(dataset):
    with pytest.raises(DataError, match=r"no metric fid here: choose among frechet, frames, c2st$"):
        evaluate(dataset, pytest.fail, metrics=["fid"], report=print)
    films = TensorDataset(
        name="films", modality="video", sample_shape=(1, 8, 32, 32), samples=dataset.batch(torch.arange(8))[0],
        classes=torch.zeros(8, dtype=torch.int64), class_names=["film"], fingerprint="films", value_range="-1..1",
    )  # fmt: skip
    assert evaluate(films, lambda num: (films.batch(torch.arange(num))[0], None), report=print).keys() == {
        "extractor", "resized", "count",
        "frechet_clips", "frechet_frames", "frechet_clips_floor", "frechet_frames_floor",
    }  # fmt: skip
