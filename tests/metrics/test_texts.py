import itertools
import random
import sys

import pytest
import torch

from sparring.data import DataError
from sparring.data.text import build
from sparring.data.vocabulary import END
from sparring.metrics.texts import (
    ENCODER,
    METRICS,
    ORDERS,
    SPAN,
    Encoder,
    References,
    Spans,
    TextEvaluation,
    TextMetric,
    evaluate_texts,
    shuffled,
    total_variation,
)
from sparring.modalities.metrics import evaluate

WORDS = ["red", "blue", "old", "tiny"], ["cat", "dog", "bus", "kite", "boat"], ["road", "hill", "lake", "roof"]
CAPTIONS = [f"a {a} {b} on a {c}." for a, b, c in itertools.product(*WORDS)] * 3


@pytest.fixture(scope="module")
def captions():
    return build("captions", [(caption, None) for caption in CAPTIONS])


def sampler(texts):
    return lambda num: ([texts[i % len(texts)] for i in range(num)], None)


def test_real_texts_score_as_the_floor_and_a_template_does_not(captions):
    metric = TextMetric(captions)
    held_out = captions.held_out
    real = metric(sampler(captions.vocabulary.decode(held_out.batch(torch.arange(len(held_out)))[0])))
    for name in ("unique", "copied", "span", "entropy", "length_tv", "bigram_tv", "frechet", "repeated"):
        assert real[name] == pytest.approx(real[f"{name}_floor"], abs=1e-4)
    template = metric(sampler(["a red red cat on a road."]))
    assert template["unique"] == pytest.approx(1 / len(held_out))
    assert template["copied"] == 0
    assert template["repeated"] == 1
    assert template["span"] == 5  # red cat on a road
    assert template["frechet"] > 2 * real["frechet_floor"]
    assert template["bigram_tv"] > real["bigram_tv"]


def test_evaluation_tells_real_from_shuffled_and_from_one_template(captions):
    pytest.importorskip("nltk")
    random.seed(0)
    shuffle = [caption[:-1].split() for caption in CAPTIONS]
    for words in shuffle:
        random.shuffle(words)
    scores = evaluate(captions, sampler([" ".join(words) + "." for words in shuffle]), report=lambda line: None)
    assert scores["perplexity_floor"] < 3 < scores["perplexity"]
    assert scores["reverse_perplexity_floor"] < 3 < scores["reverse_perplexity"]
    assert scores["bleu_4_floor"] > 0.9 > scores["bleu_4"]
    assert scores["perplexity_shuffled"] > 3
    template = evaluate_texts(captions, sampler(["a red cat on a road."]))
    assert template["perplexity"] < 3 < template["reverse_perplexity"]  # fluent, and yet it knows nothing else
    assert template["self_bleu_5"] == pytest.approx(1)
    assert template["copied"] == 1


GROUPS = {
    "frechet": {"frechet"},
    "perplexity": {"perplexity", "reverse_perplexity"},
    "bleu": {f"{name}_{n}" for name in ("bleu", "self_bleu") for n in ORDERS},
    "diversity": {"unique", "repeated", "entropy"},
    "copies": {"copied", "span"},
    "symbols": {"unknown", "length_tv", "bigram_tv"},
}


def test_what_is_chosen_alone_scores_as_among_all(captions):
    pytest.importorskip("nltk")
    assert set(METRICS) == {*GROUPS, "c2st"}  # for which 48 texts are too few
    samples = sampler(["a red red cat on a road.", "an old zebra on a hill.", *CAPTIONS[:60]])
    everything = evaluate(captions, samples, report=lambda line: None)
    left = dict(everything)
    count = left.pop("count")
    assert count >= 62
    assert left.pop("encoder") == ENCODER
    for metric, names in GROUPS.items():
        said = []
        alone = evaluate(captions, samples, metrics=[metric], report=said.append)
        assert alone.pop("count") == count
        assert (alone.pop("encoder", None) == ENCODER) == (metric == "frechet")
        assert alone.keys() == {name + beside for name in names for beside in ("", "_floor", "_shuffled")}
        assert alone == {name: left.pop(name) for name in alone}
        assert len(said) == {"frechet": 1, "perplexity": 3}.get(metric, 0)
    assert not left
    both = evaluate(captions, samples, metrics=["copies", "frechet"], report=lambda line: None)
    assert both == {name: everything[name] for name in both}
    assert {"encoder", "copied", "span", "frechet"} <= both.keys()


def test_what_is_not_chosen_is_neither_needed_nor_made(captions, monkeypatch):
    for name in ("nltk", "nltk.translate"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match="BLEU needs the package nltk"):
        TextEvaluation(captions)
    evaluation = TextEvaluation(captions, metrics=["diversity"])
    assert evaluation.model is evaluation.references is None
    assert not hasattr(evaluation, "encoder")
    assert evaluation(CAPTIONS).keys() == GROUPS["diversity"]
    assert "runs" not in vars(evaluation.known)  # those that copies are looked for among


def test_a_metric_of_texts_that_is_not_there_is_refused(captions):
    with pytest.raises(DataError, match="no metric fid here: choose among frechet, c2st, perplexity, bleu, diversity"):
        evaluate(captions, sampler(CAPTIONS), metrics=["frechet", "fid"], report=pytest.fail)
    letters = build("captions", [(caption, None) for caption in CAPTIONS], tokenizer="char")
    with pytest.raises(DataError, match="no metric bleu here: choose among frechet, c2st, perplexity, diversity"):
        evaluate(letters, sampler(CAPTIONS), metrics=["bleu"], report=pytest.fail)


def test_another_reference_can_be_given(captions):
    pytest.importorskip("nltk")
    with pytest.raises(DataError, match="20 are needed"):
        evaluate_texts(captions, sampler(CAPTIONS), reference=["a red cat on a road."] * 19)
    scores = evaluate_texts(captions, sampler(CAPTIONS), reference=["a red cat on a road."] * 20)
    assert scores["unique_floor"] == 1 / 20
    assert scores["perplexity_floor"] < 3


def test_the_references_that_decide_give_the_same_bleu_as_all_of_them():
    bleu = pytest.importorskip("nltk.translate.bleu_score")
    random.seed(2)
    texts = [tuple(random.choices(range(6), k=random.randint(1, 9))) for _ in range(80)]
    references, smooth = References(texts), bleu.SmoothingFunction().method1
    weights = [(1 / n,) * n for n in ORDERS]
    for index in range(40):
        others = [*texts[:index], *texts[index + 1 :]]
        relevant = references.relevant(texts[index], without=index)
        assert bleu.sentence_bleu(relevant, texts[index], weights, smooth) == pytest.approx(
            bleu.sentence_bleu(others, texts[index], weights, smooth)
        )
        stranger = tuple(random.choices(range(7), k=random.randint(1, 12)))
        assert bleu.sentence_bleu(references.relevant(stranger), stranger, weights, smooth) == pytest.approx(
            bleu.sentence_bleu(texts, stranger, weights, smooth)
        )
    assert len(references.relevant(texts[0])) < 40


def test_longest_copied_run_against_brute_force():
    random.seed(1)
    training = [tuple(random.choices(range(3), k=random.randint(1, 9))) for _ in range(20)]
    spans = Spans(training)
    for _ in range(200):
        text = tuple(random.choices(range(4), k=random.randint(0, 12)))
        inside = [
            j - i
            for i in range(len(text))
            for j in range(i + 1, len(text) + 1)
            if any(known[k : k + j - i] == text[i:j] for known in training for k in range(len(known)))
        ]
        assert spans.longest(text) == max(inside, default=0)
    long = tuple(range(2, 60))
    assert Spans([long]).longest(long) == SPAN


def test_total_variation_in_closed_form():
    from collections import Counter

    assert total_variation(Counter("aab"), Counter("aab")) == 0
    assert total_variation(Counter("aa"), Counter("bb")) == 1
    assert total_variation(Counter(), Counter("bb")) == 1
    assert total_variation(Counter("aaab"), Counter("ab")) == pytest.approx(0.25)


def test_shuffling_keeps_the_symbols_and_the_ends():
    texts = torch.tensor([[2, 3, 4, 5, END, END], [6, 7, 8, 9, 2, 3]])
    mixed = shuffled(texts, 0)
    assert torch.equal(mixed.sort(1)[0], texts.sort(1)[0])
    assert torch.equal(mixed == END, texts == END)
    assert not torch.equal(mixed, texts)


def test_features_of_a_text_do_not_depend_on_its_neighbours(captions):
    texts = captions.batch(torch.arange(len(captions)))[0]
    encoder = Encoder(texts)
    together = encoder(texts)
    torch.testing.assert_close(encoder(texts[5:6]), together[5:6], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoder(texts.flip(0)), together.flip(0), rtol=1e-4, atol=1e-5)
