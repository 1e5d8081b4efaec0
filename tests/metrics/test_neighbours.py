import pytest
import torch

from sparring.metrics.neighbours import manifold_scores, near_copies, near_repeats, nearest


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def brute_force(features, reference, k):
    """The four scores by their definitions, one pair at a time."""

    def radius(points, i):
        return sorted((points[i] - points[j]).norm().item() for j in range(len(points)) if j != i)[k - 1]

    real, fake = (
        [radius(reference, i) for i in range(len(reference))],
        [radius(features, i) for i in range(len(features))],
    )
    near = [[(f - r).norm().item() for r in reference] for f in features]
    rows, columns = range(len(features)), range(len(reference))
    return {
        "precision": sum(any(near[i][j] <= real[j] for j in columns) for i in rows) / len(features),
        "recall": sum(any(near[i][j] <= fake[i] for i in rows) for j in columns) / len(reference),
        "density": sum(near[i][j] <= real[j] for i in rows for j in columns) / (k * len(features)),
        "coverage": sum(any(near[i][j] <= real[j] for i in rows) for j in columns) / len(reference),
    }


@pytest.mark.parametrize(("k", "shift"), [(1, 0.0), (3, 0.5), (5, 2.0)])
def test_scores_against_brute_force(k, shift):
    features, reference = random(30, 3) + shift, random(40, 3, seed=1)
    expected = brute_force(features, reference, k)
    assert manifold_scores(features, reference, k) == pytest.approx(expected, abs=1e-6)


def test_many_samples_in_chunks_score_the_same(monkeypatch):
    features, reference = random(300, 4) + 0.3, random(200, 4, seed=1)
    whole = manifold_scores(features, reference)
    monkeypatch.setattr("sparring.metrics.neighbours.DISTANCES_AT_ONCE", 1400)
    assert manifold_scores(features, reference) == pytest.approx(whole, abs=1e-6)


def test_what_the_scores_tell_apart():
    real = random(500, 4)
    same = manifold_scores(random(500, 4, seed=1), real)
    assert min(same["precision"], same["recall"], same["coverage"]) > 0.9
    assert same["density"] == pytest.approx(1, abs=0.1)
    narrow = manifold_scores(0.2 * random(500, 4, seed=1), real)
    assert narrow["precision"] == 1
    assert narrow["recall"] < 0.3
    far = manifold_scores(random(500, 4, seed=1) + 20, real)
    assert (far["precision"], far["recall"], far["density"], far["coverage"]) == (0, 0, 0, 0)
    with pytest.raises(ValueError, match="more than 5"):
        manifold_scores(real[:5], real)


def test_copies_are_found_and_fresh_samples_are_not():
    training, held_out = random(1000, 8), random(500, 8, seed=1)
    copies = torch.cat([training[:100] + 1e-3, random(300, 8, seed=2)])
    share, usual = near_copies(copies, training, held_out)
    assert share == pytest.approx(0.25, abs=0.02)
    assert usual == pytest.approx(0.01, abs=0.01)
    distance, place = nearest(training[5:8] + 1e-3, training)
    assert place.tolist() == [5, 6, 7]
    assert distance.max() < 0.01


def test_copies_are_found_without_held_out_samples_too(monkeypatch):
    training, fresh = random(1000, 8), random(500, 8, seed=1)
    assert near_copies(training[:300], training) == (1, pytest.approx(0.01, abs=0.002))
    assert near_copies(fresh, training)[0] == pytest.approx(0.01, abs=0.01)
    twice = training.repeat(2, 1) + 100  # holds everything twice, and lies far from the origin
    assert near_copies(training[:300] + 100, twice) == (1, pytest.approx(0.01, abs=0.002))
    assert near_copies(fresh + 100, twice)[0] == pytest.approx(0.01, abs=0.01)
    whole = near_copies(fresh, training)[0]
    monkeypatch.setattr("sparring.metrics.neighbours.QUERIES", 400)
    assert near_copies(training[:300], training)[0] == 1
    assert near_copies(fresh, training)[0] == pytest.approx(whole, abs=0.02)


def test_a_set_that_holds_samples_twice_does_not_hide_a_collapse():
    real = random(500, 8)
    real[:50] = real[50:100]
    one = real[:1] + 1e-3 * random(300, 8, seed=2)
    assert near_repeats(one, real) == 1
    assert near_repeats(random(300, 8, seed=3), real) < 0.05
