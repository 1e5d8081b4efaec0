import pytest
import torch

from sparring.training.diagnostics import Alarm, diversity, verdict_on


def rows(gap=0.8, r1=0.05, **last):
    row = {"logits/gap": gap, "loss/r1": r1, "loss/r2": r1, "loss/d": 0.5, "loss/g": 0.9}
    return [row | {"samples_seen": i} for i in range(20)] + [row | {"samples_seen": 20} | last]


@pytest.mark.parametrize(
    ("history", "rollbacks", "status", "says"),
    [
        (rows(diversity=0.95), 0, "healthy", "Healthy"),
        (rows(diversity=0.2), 0, "collapsed", "--loss.r1"),
        (rows(diversity=31.9), 0, "scattered", "31.9 times as diverse"),
        (rows(diversity=0.9, recall=0.1, recall_floor=0.8), 0, "collapsed", "cover 10% of the data"),
        (rows(recall=0.3, recall_floor=0.8, most_share=0.2), 0, "healthy", "Healthy"),
        (rows(diversity=0.9, most_share=1.0), 0, "collapsed", "100% of the samples are classified as one class"),
        (rows(gap=8.0, diversity=0.9), 0, "discriminator-too-strong", "--augment.probability"),
        (rows(gap=0.001, r1=1e-6, diversity=0.9), 0, "discriminator-idle", "--optim.lr"),
        (rows(diversity=0.9), 2, "unstable", "2 time"),
        (rows()[:3], 0, "too-short", "train for more"),
    ],
)
def test_verdicts(history, rollbacks, status, says):
    verdict = verdict_on(history, rollbacks)
    assert verdict.status == status
    assert says in verdict.text
    assert "nan" not in verdict.text
    assert "\n" not in verdict.text


REAL_TEXTS = {
    "diversity": 0.95, "unique": 0.99, "copied": 0.01, "repeated": 0.03, "entropy": 5.0, "unique_floor": 0.99,
    "copied_floor": 0.01, "repeated_floor": 0.03, "entropy_floor": 5.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "status", "says"),
    [
        ({}, "healthy", "Healthy"),
        ({"unique": 0.82, "copied": 0.2, "repeated": 0.2, "entropy": 4.2}, "healthy", "Healthy"),
        ({"unique": 0.1}, "collapsed", "only 10% of the texts differ (real data: 99%)"),
        ({"unique": 0.6}, "collapsed", "only 60% of the texts differ"),
        ({"unique": 0.78}, "collapsed", "only 78% of the texts differ"),
        ({"unique": 0.7, "unique_floor": 0.8}, "healthy", "Healthy"),  # real ones recur too
        ({"entropy": 1.0}, "collapsed", "entropy 1.0, real data: 5.0"),
        ({"entropy": 3.9}, "collapsed", "entropy 3.9, real data: 5.0"),
        ({"entropy": 6.0}, "healthy", "Healthy"),
        ({"copied": 0.8}, "copies", "80% of the texts equal a training text"),
        ({"copied": 0.4}, "copies", "40% of the texts equal a training text word for word (real data: 1%)"),
        ({"copied": 0.28}, "copies", "--codec.noise"),
        ({"copied": 0.7, "copied_floor": 0.5}, "healthy", "Healthy"),
        ({"repeated": 0.5}, "repeats", "50% of the texts have a symbol twice"),
        ({"repeated": 0.3}, "repeats", "real data: 3%"),
        ({"repeated": 0.4, "repeated_floor": 0.22}, "healthy", "Healthy"),  # letters do come twice
        ({"repeated": 0.6, "repeated_floor": 0.22}, "repeats", "60% of the texts"),
    ],
)
def test_verdicts_on_texts_compare_with_real_ones(texts, status, says):
    verdict = verdict_on(rows(**REAL_TEXTS | texts), 0)
    assert verdict.status == status
    assert says in verdict.text
    assert "nan" not in verdict.text
    assert "\n" not in verdict.text


def test_the_metric_is_quoted_beside_its_floor():
    assert "12 (real data: 1.5)" in verdict_on(rows(diversity=0.9, frechet=12.0, frechet_floor=1.5), 0).text


def test_diversity_is_that_within_a_class():
    real, classes = torch.randn(500, 1, 4, 4), torch.arange(500) % 2
    real += 10 * classes.view(-1, 1, 1, 1)
    others = torch.randn(500, 1, 4, 4)
    assert diversity(others, real, classes) == pytest.approx(1, abs=0.1)
    assert diversity(0.5 * real, real, classes) == pytest.approx(0.5, abs=1e-3)
    one_a_class = real[:2].repeat(250, 1, 1, 1)
    assert diversity(one_a_class, real, classes) == pytest.approx(0, abs=1e-3)
    assert diversity(others, real, torch.zeros(500)) < 0.5  # without classes, the distance between them counts too


def test_alarm_tells_once_that_the_discriminator_has_won():
    alarm, won = Alarm(), {"logits/gap": 9.0, "loss/r1": 1e-4, "loss/d": 0.0}
    assert alarm.check(won | {"loss/r1": 0.1}, 10) is None  # steep: the generator still learns
    assert "--loss.instance_noise" in alarm.check(won, 10)
    assert alarm.check(won, 10) is None


def test_alarm_at_a_vanishing_gradient_but_not_without_penalties():
    won = {"logits/gap": 8.0, "loss/r1": 0.0, "loss/d": 0.0}
    assert "R1 0.0e+00" in Alarm().check(won, 10)
    assert Alarm(penalized=False).check(won, 10) is None


def test_alarm_tells_that_the_discriminator_is_dead_after_200_steps_of_it():
    alarm, dead = Alarm(), {"logits/gap": 0.001, "loss/r1": 0.0, "loss/d": 0.6931}
    assert alarm.check(dead, 150) is None
    assert alarm.check(dead | {"logits/gap": 0.3, "loss/d": 0.6}, 10) is None  # a sign of life
    assert alarm.check(dead, 150) is None
    assert "is dead" in alarm.check(dead, 60)
    assert alarm.check({"loss/reconstruction": 0.1}, 1000) is None


def test_rows_of_a_codec_are_not_judged():
    codec = [{"samples_seen": i, "loss/reconstruction": 0.1} for i in range(500)]
    assert verdict_on(codec + rows(diversity=0.95), 0) == verdict_on(rows(diversity=0.95), 0)
