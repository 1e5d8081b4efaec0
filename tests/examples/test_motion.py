import pytest
import torch

from examples.layered_video.motion import MotionMetric, histograms
from examples.layered_video.persistence import persistent
from examples.layered_video.tracking import track
from sparring.data import DataError
from sparring.data.bouncing import SPEED, bouncing
from sparring.data.dataset import TensorDataset
from sparring.modalities.metrics import evaluate, metric_for


@pytest.fixture(scope="module", params=[1, 2], ids=["one", "two"])
def dataset(request):
    return bouncing(resolution=16, num_digits=request.param)


@pytest.fixture(scope="module")
def metric(dataset):
    return MotionMetric(dataset)


@pytest.fixture(scope="module")
def real(dataset):
    return dataset.held_out.batch(torch.arange(500, 1000))[0]


def score(metric, clips):
    scores = metric(lambda n: (clips[:n], None))
    assert all(0 <= value <= 1 or (name.startswith("shape") and value >= 0) for name, value in scores.items())
    return scores


@pytest.mark.parametrize(("resolution", "pixels"), [(16, 1.2), (32, 1.3), (64, 1.9)])
@pytest.mark.parametrize("num_digits", [1, 2])
def test_tracked_positions_are_the_true_ones(resolution, num_digits, pixels):
    dataset = bouncing(resolution=resolution, num_digits=num_digits, count=100)
    indices = torch.arange(100)
    found, trusted = track(dataset.batch(indices)[0], num_digits)
    true, _ = dataset.truth(indices)
    error = (found - true).norm(dim=-1)
    if num_digits == 2:
        swapped = (found.flip(1) - true).norm(dim=-1)
        error = torch.where((error.sum(dim=1) < swapped.sum(dim=1))[:, None], error, swapped)
    error = error.transpose(1, 2)[trusted] * resolution
    assert error.quantile(0.99) < pixels
    assert error.median() < 1
    assert trusted.all() if num_digits == 1 else 0.3 < trusted.double().mean() < 0.6


def test_frames_in_which_two_digits_overlap_are_not_trusted():
    dataset = bouncing(resolution=32, count=200)
    true, _ = dataset.truth(torch.arange(200))
    _, trusted = track(dataset.batch(torch.arange(200))[0], 2)
    distance = (true[:, 0] - true[:, 1]).norm(dim=-1)
    assert not trusted[distance < 0.27].any()
    assert trusted[distance > 0.39].all()


def test_each_of_two_digits_stays_itself_while_they_are_apart():
    dataset = bouncing(resolution=32, count=300)
    found, trusted = track(dataset.batch(torch.arange(300))[0], 2)
    both = trusted[:, 1:] & trusted[:, :-1]
    steps = found.diff(dim=2).norm(dim=-1).transpose(1, 2)[both]
    assert steps.max() < 0.2


def test_real_clips_score_like_the_floor(metric, real):
    scores = score(metric, real)
    for name in ("position_tv", "speed_tv", "direction_tv"):
        assert scores[name] < 0.1
        assert scores[f"{name}_floor"] < 0.1
    assert scores["persistent"] > 0.95
    assert scores["persistent_floor"] > 0.95


def test_clips_that_stand_still_have_no_speed_or_direction(metric, real):
    scores = score(metric, real[:, :, :1].expand_as(real))
    assert scores["speed_tv"] > 0.85
    assert scores["speed_distance"] == pytest.approx(SPEED * (1 - 28 / 64), abs=0.01)  # of the way a digit has
    assert scores["direction_tv"] > 0.85
    assert scores["position_tv"] < 0.2


def test_clips_that_jump_are_too_fast(metric, real):
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    scores = score(metric, real[:, :, order])
    assert scores["speed_tv"] > 0.5
    assert scores["speed_distance"] > 10 * scores["speed_distance_floor"] + 0.02
    assert scores["position_tv"] < 0.1
    assert scores["persistent"] > 0.95


def test_digits_that_only_run_right_show_in_the_directions(metric, real):
    positions, trusted = track(real, metric.num_digits)
    right = positions.clone()
    right[..., 0] = torch.linspace(0.2, 0.7, 16)
    right[..., 1] = 0.5
    counts = histograms(right, trusted)["direction"]
    assert counts[0] == counts.sum() > 0


def test_clips_that_fade_shrink_or_change_their_digit_do_not_persist(metric, real):
    fading = (real + 1) * torch.linspace(1, 0.3, 16)[:, None, None] - 1
    assert score(metric, fading)["persistent"] < 0.2
    shrunk = torch.nn.functional.interpolate(real[:, 0], scale_factor=0.5, mode="area")
    small = torch.full_like(real, -1)
    small[:, 0, :, 4:12, 4:12] = shrunk
    assert score(metric, torch.cat([real[:, :, :10], small[:, :, 10:]], dim=2))["persistent"] < 0.2
    others = torch.cat([real[:, :, ::2], real.roll(1, 0)[:, :, 1::2]], dim=2)
    assert score(metric, others)["persistent"] < 0.3


@pytest.mark.parametrize("num_digits", [1, 2])
def test_what_keeps_its_shape_but_is_no_digit_shows_in_the_shapes(num_digits):
    dataset = bouncing(resolution=32, num_digits=num_digits)
    metric, clips = MotionMetric(dataset), dataset.batch(torch.arange(500))[0]
    real = score(metric, clips)
    assert real["shape_fd"] < 2 * real["shape_fd_floor"]
    assert real["shape_fd_floor"] > 0
    assert min(real["readable"], real["readable_floor"]) > 0.75
    for unlike in (clips.flip(-1, -2), torch.nn.functional.avg_pool3d(clips, (1, 3, 3), 1, (0, 1, 1))):
        scores = score(metric, unlike)
        assert scores["shape_fd"] > 4 * real["shape_fd_floor"]
        assert scores["readable"] < 0.6 * real["readable"]
        assert scores["persistent"] > 0.9


def test_a_digit_that_disappears_does_not_persist(metric, real):
    gone = real.clone()
    gone[:, :, 5] = -1
    assert score(metric, gone)["persistent"] == 0


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_plain_clips_are_scored_as_bad(metric, value):
    scores = score(metric, torch.full((500, 1, 16, 16, 16), value))
    assert scores["position_tv"] > 0.8
    assert scores["persistent"] == 0


def test_two_digits_always_merged_do_not_persist():
    metric = MotionMetric(bouncing(resolution=16))
    single = bouncing(resolution=16, num_digits=1).batch(torch.arange(500))[0]
    assert score(metric, single)["persistent"] < 0.2


def test_fewer_real_clips_are_judged_against_as_many(dataset, real):
    metric = MotionMetric(dataset, 60)
    scores = score(metric, real[:60])
    assert scores["persistent"] > 0.9
    assert scores["persistent_floor"] > 0.9
    for name in ("position_tv", "direction_tv"):  # the fewer, the farther apart
        assert 0.5 < scores[name] / scores[f"{name}_floor"] < 2


def test_clips_of_one_frame_can_be_scored():
    metric = MotionMetric(bouncing(frames=1, resolution=16, num_digits=1))
    scores = score(metric, bouncing(frames=1, resolution=16, num_digits=1).batch(torch.arange(500))[0])
    assert scores["speed_tv"] == 0
    assert scores["persistent"] > 0.95


def test_only_one_or_two_digits_are_tracked():
    with pytest.raises(ValueError, match="one or two"):
        track(torch.zeros(1, 1, 2, 16, 16), 3)


def test_persistence_is_judged_clip_by_clip(real, dataset):
    clips = real[:50].clone()
    num_digits = dataset.chosen.shape[1]
    before = persistent(clips, *track(clips, num_digits))
    broken = int(before.nonzero()[3])
    clips[broken, :, 4] = -1
    after = persistent(clips, *track(clips, num_digits))
    assert (before != after).nonzero().flatten().tolist() == [broken]


def test_it_is_measured_beside_the_clips_own_scores(dataset):
    clips = dataset.held_out.batch(torch.arange(60))[0]

    def sample(num):
        return clips[torch.arange(num) % 60], None

    scores = {"position_tv", "speed_tv", "direction_tv", "speed_distance", "shape_fd", "readable", "persistent"}
    trained = metric_for(dataset)(sample)
    assert {"frechet_clips", *scores} <= trained.keys()
    alone = evaluate(dataset, sample, num=60, metrics=["motion"], report=print)
    assert alone.keys() - {"extractor", "resized", "count"} == {s + beside for s in scores for beside in ("", "_floor")}
    assert alone["persistent"] > 0.9
    assert scores <= evaluate(dataset, sample, num=60, report=print).keys()
    with pytest.raises(DataError, match="choose among frechet, frames, c2st, motion"):
        evaluate(dataset, pytest.fail, metrics=["fid"], report=print)


def test_other_clips_have_no_motion_to_measure(dataset):
    films = TensorDataset(
        name="films", modality="video", sample_shape=dataset.sample_shape, samples=dataset.batch(torch.arange(8))[0],
        classes=torch.zeros(8, dtype=torch.int64), class_names=["film"], fingerprint="films", value_range="-1..1",
    )  # fmt: skip
    with pytest.raises(DataError, match=r"no metric motion here: choose among frechet, frames, c2st$"):
        evaluate(films, pytest.fail, metrics=["motion"], report=print)
