import pytest
import torch

from sparring.metrics.two_sample import classifier_two_sample


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_equal_distributions_cannot_be_told_apart_and_others_can():
    real = random(1000, 8)
    assert classifier_two_sample(random(1000, 8, seed=1), real) < 0.56
    assert classifier_two_sample(random(1000, 8, seed=1) + 0.7, real) > 0.75
    ring = torch.nn.functional.normalize(random(1000, 2, seed=1)) * 2**0.5
    assert classifier_two_sample(ring, random(1000, 2)) > 0.7  # the same mean and spread


def test_copies_of_what_was_learnt_from_do_not_help():
    """Samples and data judged are never those learnt from: memory alone tells nothing."""
    real = random(200, 50)
    assert classifier_two_sample(random(200, 50, seed=1), real) < 0.65


def test_seeds_repeat_and_the_global_one_is_left_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first = classifier_two_sample(random(100, 4), random(100, 4, seed=1), seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert classifier_two_sample(random(100, 4), random(100, 4, seed=1), seed=2) == first
    with pytest.raises(ValueError, match="four samples"):
        classifier_two_sample(random(3, 4), random(3, 4))


def test_the_order_of_rows_plays_no_part():
    features, reference = random(400, 4) + 0.4, random(400, 4, seed=1)
    turned = classifier_two_sample(features.flip(0), reference.roll(7, 0))
    assert turned == classifier_two_sample(features, reference) > 0.5
