import pytest
import torch

from sparring.data import DataError
from sparring.data.dataset import TensorDataset
from sparring.metrics import real_images
from sparring.metrics.images import METRICS, ImageEvaluation, inception_score, kernel_distance
from sparring.metrics.scores import warnings_of
from sparring.modalities.metrics import metric_for
from sparring.modalities.registry import open_dataset


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_kernel_distance_against_its_definition():
    """The unbiased estimate with the kernel (x.y / D + 1)^3, all of both sets in one subset."""
    features, reference = random(60, 5).double(), random(60, 5, seed=1).double() + 0.5

    def kernel(a, b):
        return (a @ b.T / 5 + 1) ** 3

    n = 60
    same = [kernel(x, x) for x in (features, reference)]
    within = [(k.sum() - k.diag().sum()) / (n * (n - 1)) for k in same]
    expected = within[0] + within[1] - 2 * kernel(features, reference).mean()
    assert kernel_distance(features, reference) == pytest.approx(expected.item(), rel=1e-4)
    many = [random(1500, 5, seed=seed) for seed in (0, 1)]  # more than a subset holds
    assert kernel_distance(many[0].flip(0), many[1].roll(9, 0)) == kernel_distance(*many)


def test_inception_score_in_closed_form():
    certain = 50.0 * torch.eye(4).repeat(5, 1)
    assert inception_score(certain) == pytest.approx(4)
    assert inception_score(certain[:1].repeat(9, 1)) == pytest.approx(1)
    assert inception_score(torch.zeros(9, 4)) == pytest.approx(1)


def test_real_digits_score_as_the_floor_and_one_digit_repeated_does_not():
    data = open_dataset("digits")
    evaluation = ImageEvaluation(data, num=300, extractor="digits")
    assert evaluation.count == 300
    chosen = torch.randperm(4000, generator=torch.Generator().manual_seed(7))[:300]
    real, classes = data.batch(chosen)
    scores = evaluation(lambda count: (real[:count], classes[:count]))
    assert scores["frechet"] < 2 * scores["frechet_floor"] + 1
    assert scores["precision"] > 0.8
    assert scores["recall"] > 0.8
    assert scores["c2st"] < 0.6
    assert scores["recognised"] > 0.97
    assert scores["near_copies"] > 0.5  # they are training digits
    one = evaluation(lambda count: (real[:1].expand(count, -1, -1, -1), classes[:1].expand(count)))
    assert one["frechet"] > 10 * scores["frechet"]
    assert one["coverage"] < 0.1
    assert one["c2st"] > 0.95


def test_pictures_without_a_held_out_part_are_compared_with_half_of_themselves(shapes):
    evaluation = ImageEvaluation(shapes, num=100, extractor="untrained")
    scores = evaluation(lambda count: (shapes.batch(torch.arange(count))[0], None))
    assert evaluation.count == 20
    assert evaluation.facts["compared_with"] == "half of the data, as none is held out"
    assert "c2st" not in scores  # of 20 a classifier would judge ten
    with pytest.raises(DataError, match="c2st needs 100 generated"):
        ImageEvaluation(shapes, num=100, extractor="untrained", metrics=["c2st"])
    shapes.samples, shapes.classes = shapes.samples[:30], shapes.classes[:30]
    with pytest.raises(DataError, match="40 are needed"):
        ImageEvaluation(shapes, num=100, extractor="untrained")


def noise(count, name, seed, held_out=None):
    """Pictures of 8×8 without classes."""
    samples = torch.randint(256, (count, 1, 8, 8), generator=torch.Generator().manual_seed(seed)).byte()
    return TensorDataset(
        name=name, modality="image", sample_shape=(1, 8, 8), classes=torch.zeros(count, dtype=torch.int64),
        class_names=[], fingerprint=name, value_range="0..255", samples=samples, held_out=held_out,
    )  # fmt: skip


def test_a_negative_does_not_pass_for_its_picture():
    digits = open_dataset("digits")
    data = noise(600, "digits", 0)
    chosen = torch.randperm(4000, generator=torch.Generator().manual_seed(5))
    data.samples = ((digits.batch(chosen[:600])[0] + 1) * 127.5).round().byte()
    data.sample_shape = (1, 28, 28)
    evaluation = ImageEvaluation(data, num=300, extractor="untrained", metrics=["frechet", "c2st", "recall"])
    fresh = digits.batch(chosen[600:900])[0]
    real, negative = (evaluation(lambda count, x=x: (x[:count], None)) for x in (fresh, -fresh))
    assert real["c2st"] < 0.65
    assert negative["c2st"] > 0.95
    assert negative["recall"] < 0.1 < real["recall"]
    assert negative["frechet"] > 20 * real["frechet"]


def test_the_order_of_the_real_pictures_changes_no_score():
    def scores(turned, held_out):
        data = noise(500, "data", 0, noise(300, "held out", 1) if held_out else None)
        for each in (data, data.held_out):
            if turned and each is not None:
                each.samples = each.samples.flip(0)
        evaluation = ImageEvaluation(data, num=150, extractor="untrained")
        return evaluation(lambda count: (noise(count, "fakes", 2).batch(torch.arange(count))[0], None))

    for held_out in (False, True):
        there = scores(False, held_out)
        assert there["c2st_floor"] > 0
        assert scores(True, held_out) == there


def test_copies_are_looked_for_in_all_of_a_large_set_or_it_says_in_how_much(monkeypatch):
    data = noise(12_000, "large", 0, held_out=noise(200, "held out", 1))
    copies, fresh = data.batch(torch.arange(0, 12_000, 60))[0], noise(200, "fresh", 2).batch(torch.arange(200))[0]

    def judge():
        evaluation = ImageEvaluation(data, num=200, extractor="untrained", metrics=["near_copies"])
        found = [evaluation(lambda count, x=x: (x, None)) for x in (copies, fresh)]
        return evaluation.facts["searched"], *found, *map(warnings_of, found)

    said, copied, new, warning, none = judge()
    assert said == "12000 of 12000 training pictures"
    assert copied["near_copies"] == 1
    assert "near_copies_searched" not in copied
    assert new["near_copies"] < 0.05
    assert warning == ["copies: 100% of the samples nearly equal a training sample"]
    assert not none
    monkeypatch.setattr(real_images, "SEARCHED", 1800)
    said, copied, new, warning, none = judge()
    assert said == "1800 of 12000 training pictures"
    assert copied["near_copies_searched"] == 0.15
    assert 0.1 < copied["near_copies"] < 0.2  # a share that would not be called copies in a whole set
    assert "among the 15.0% that were searched" in warning[0]
    assert not none


def test_copies_show_where_no_pictures_are_held_out():
    data = noise(600, "own", 0)
    evaluation = ImageEvaluation(data, num=300, extractor="untrained", metrics=["near_copies"])
    copied = evaluation(lambda count: (data.batch(torch.arange(count))[0], None))
    assert copied["near_copies"] == 1
    assert copied["near_copies_floor"] < 0.02
    assert "copies: 100%" in warnings_of(copied)[0]
    fresh = evaluation(lambda count: (noise(count, "fresh", 2).batch(torch.arange(count))[0], None))
    assert fresh["near_copies"] < 0.05
    assert not warnings_of(fresh)


def test_the_order_of_samples_changes_no_score():
    data = open_dataset("digits")
    evaluation = ImageEvaluation(data, num=250, extractor="digits")
    real, classes = data.batch(torch.randperm(4000, generator=torch.Generator().manual_seed(1))[:250])
    real = real + 0.1 * random(*real.shape)
    scores = evaluation(lambda count: (real, classes))
    assert {name for name in METRICS if name in scores} == set(METRICS)
    assert {f"{name}_floor" for name in METRICS} <= scores.keys()
    for seed in (2, 3):
        order = torch.randperm(250, generator=torch.Generator().manual_seed(seed))
        again = evaluation(lambda count, order=order: (real[order], classes[order]))
        # A feature's last bits may depend on its place in a batch, and by them a neighbour of one in 250.
        assert again == pytest.approx(scores, rel=1e-3, abs=0.005)


def test_a_class_that_collapsed_or_is_missing_is_named():
    data = open_dataset("digits")
    held_out, classes = data.held_out.batch(torch.arange(1000))
    evaluation = ImageEvaluation(data, num=1000, extractor="digits", metrics=["recall", "recognised"])
    threes = classes == 3
    collapsed = held_out.clone()
    collapsed[threes] = held_out[threes][0]
    scores = evaluation(lambda count: (collapsed, classes))
    assert scores["recall"] > 0.8
    assert scores["recall_3"] < 0.05 < 0.8 < scores["recall_3_floor"]
    assert warnings_of(scores) == ["collapse within a class: the samples cover 1% of class 3 (real data: 96%)"]
    assert scores["recognised_floor"] == pytest.approx(0.988)
    without = evaluation(lambda count: (held_out[~threes], classes[~threes]))
    assert without["recall_3"] == 0
    assert "0% of class 3" in warnings_of(without)[0]
    assert not warnings_of(evaluation(lambda count: (held_out, classes)))


def test_few_samples_of_each_class_say_nothing_of_its_recall():
    data = open_dataset("digits")
    evaluation = ImageEvaluation(data, num=50, extractor="digits", metrics=("recall",))
    real = torch.arange(50) * 80 + 3  # five of each class
    scores = evaluation(lambda count: data.batch(real[:count]))
    assert not [name for name in scores if name.startswith("recall_") and name != "recall_floor"]
    assert not warnings_of(scores)


def test_the_floor_of_what_a_classifier_says_is_that_of_held_out_pictures():
    data = open_dataset("digits")
    metrics = ["inception_score", "recognised"]
    evaluation = ImageEvaluation(data, num=1000, extractor="digits", metrics=metrics)
    scores = evaluation(lambda count: data.held_out.batch(torch.arange(count)))
    for name in (*metrics, "recognised_7"):
        assert scores[f"{name}_floor"] == pytest.approx(scores[name], rel=1e-4)
    again = ImageEvaluation(data, num=1000, extractor="digits", metrics=metrics)  # its logits come from the cache
    assert again(lambda count: data.held_out.batch(torch.arange(count))) == scores


def test_what_is_named_and_cannot_be_measured_is_refused(shapes):
    def evaluation(*metrics, dataset=shapes, extractor="untrained", **settings):
        return ImageEvaluation(dataset, num=20, extractor=extractor, metrics=metrics, **settings)

    for name in ("inception_score", "recognised"):
        with pytest.raises(DataError, match=f"{name} cannot be measured here: shades and untrained .* has no classes"):
            evaluation(name)
    with pytest.raises(DataError, match="near_copies cannot be measured here: the run's training data"):
        evaluation("near_copies", trained_on=False)
    digits = open_dataset("digits")
    with pytest.raises(DataError, match="needs the classes of the samples"):
        evaluation("recognised", dataset=digits, extractor="digits")(
            lambda count: (torch.zeros(count, 1, 28, 28), None)
        )
    with pytest.raises(DataError, match="recognised cannot be measured here: the data has no classes"):
        evaluation("recognised", dataset=open_dataset("digits", conditional=False), extractor="digits")
    with pytest.raises(DataError, match="fid is the Fréchet distance of Inception's features only"):
        evaluation("fid")
    assert evaluation("fd").metrics == ("frechet",)


def test_what_a_run_measures_says_in_what_features(shapes):
    assert metric_for(shapes).facts["count"] == 20
    both = metric_for(open_dataset("digits"), also="kid")
    assert both.facts["extractor"] == "sparring-digits (not Inception)"
    assert {"kid", "least_share"} <= both(lambda count: (torch.zeros(count, 1, 28, 28), None)).keys()
