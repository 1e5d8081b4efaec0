import math

import pytest

from sparring.config import Config, ConfigError
from sparring.metrics.scores import DISTANCES, SCORES, Score
from sparring.training.goal import Goal


def goal(text):
    return Goal.of(Config().replace({"train.until": text}).train)


def test_a_goal_is_reached_on_its_own_side():
    assert goal("frechet<=8").reached({"frechet": 8.0})
    assert not goal("frechet <= 8").reached({"frechet": 8.1})
    assert goal("modes>=25").reached({"modes": 25})
    assert not goal("modes>=25").reached({"modes": 24})
    assert not goal("c2st<=0.6").reached({"frechet": 1.0})
    assert goal("fd<=1e-1").reached({"frechet_clips": 0.1})
    assert goal(None) is None


@pytest.mark.parametrize("text", ["frechet", "frechet<8", "<=8", "frechet<=eight", "frechet<=8 c2st<=0.6", "a<=-1"])
def test_what_is_no_goal_is_refused(text):
    with pytest.raises(ConfigError, match="NAME<=NUMBER"):
        goal(text)


@pytest.mark.parametrize("text", ["c2st<=0.4", "c2st<=60", "c2st>=0.6"])
def test_a_share_that_no_classifier_gets_or_every_one_does_is_refused(text):
    with pytest.raises(ConfigError, match=r"a number from 0\.5 to 1"):
        goal(text)


def test_a_goal_without_measurements_is_refused():
    with pytest.raises(ConfigError, match=r"--train.until has no effect with --train.evaluate_every 0"):
        Config().replace({"train.until": "fd<=8", "train.evaluate_every": 0})


def test_the_best_is_the_lowest_distance_unless_a_goal_says_otherwise():
    lowest = Goal.best({"frechet_clips": 3.0, "seconds": 1.0})
    assert lowest.better({"frechet_clips": 3.0}, {"frechet_clips": 4.0})
    assert lowest.better({"frechet_clips": 3.0}, {"loss/d": 0.0})
    assert not lowest.better({"frechet_clips": 3.0}, {"frechet_clips": 3.0})
    assert goal("modes>=25").better({"modes": 9}, {"modes": 8})
    assert Goal.best({"modes": 9}) is None


def test_what_is_no_number_is_never_best_and_never_stays_it():
    lowest = Goal.best({"frechet": 3.0})
    assert not lowest.better({"frechet": math.nan}, {})
    assert lowest.better({"frechet": 3.0}, {"frechet": math.nan})
    assert goal("fd<=8").better({"fid": 3.0}, {"frechet": 2.0})  # another scale


def test_a_labelled_score_of_a_plug_in_may_be_better_when_higher(monkeypatch):
    monkeypatch.setitem(SCORES, "sharpness", Score("sharpness", "", "higher", "sharpness"))
    monkeypatch.setitem(DISTANCES, "sharpness", "sharpness")
    best = Goal.best({"sharpness": 0.5})
    assert best.better({"sharpness": 0.6}, {"sharpness": 0.5})
    assert not best.better({"sharpness": 0.4}, {"sharpness": 0.5})
