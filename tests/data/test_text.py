import itertools
import json

import pytest
import torch

from sparring import cli
from sparring.data import DataError, open_dataset
from sparring.data.text import FEWEST, open_text

from command_line import fails

WORDS = ["red", "blue", "old", "tiny"], ["cat", "dog", "bus", "kite", "boat"], ["road", "hill", "lake", "roof"]
CAPTIONS = [f"a {color} {thing} on a {place}." for color, thing, place in itertools.product(*WORDS)]


def written(tmp_path, text, name="lines.txt"):
    path = tmp_path / name
    if isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text, encoding="utf-8")
    return str(path)


def texts_of(dataset):
    return dataset.vocabulary.decode(dataset.batch(torch.arange(len(dataset)))[0])


def test_a_line_is_a_sample_and_a_fifth_is_held_out(tmp_path):
    dataset = open_dataset(written(tmp_path, "\n\n".join(CAPTIONS)))
    assert (len(dataset), len(dataset.held_out)) == (64, 16)
    assert sorted(texts_of(dataset) + texts_of(dataset.held_out)) == sorted(CAPTIONS)
    assert dataset.vocabulary.tokenizer == "word"
    assert dataset.sample_shape == (7,)
    assert dataset.num_classes == 0


def test_sentences_go_across_lines(tmp_path):
    prose = 'One fine day\nit rained. He said "Nobody came!" and left.\n\nThe end? (Yes.) ' * FEWEST
    dataset = open_text(written(tmp_path, prose), split="sentence")
    assert set(texts_of(dataset)) == {
        "One fine day it rained.",
        'He said "Nobody came!"',
        "and left.",
        "The end?",
        "(Yes.)",
    }


def test_records_are_not_sewn_together(tmp_path):
    records = [json.dumps({"text": text}) for text in ("a red cat", "A dog. It barks")] * FEWEST
    dataset = open_text(written(tmp_path, "\n".join(records), "a.jsonl"), split="sentence")
    assert set(texts_of(dataset)) == {"a red cat", "A dog.", "It barks"}


def test_chinese_is_read_by_characters_and_split_without_spaces(tmp_path):
    dataset = open_text(written(tmp_path, "我们吃饭。他说“睡觉。”" * FEWEST), split="sentence")
    assert dataset.vocabulary.tokenizer == "char"
    assert set(texts_of(dataset)) == {"我们吃饭。", "他说“睡觉。”"}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv"])
def test_fields_of_records_and_their_labels(tmp_path, ending):
    rows = [(caption, "ab"[i % 2]) for i, caption in enumerate(CAPTIONS)]
    if ending == "jsonl":
        content = "\n".join(json.dumps({"id": 3, "caption": text, "label": label}) for text, label in rows)
    else:
        mark = {"csv": ",", "tsv": "\t"}[ending]
        content = "\n".join(mark.join(row) for row in [("caption", "label"), *rows])
    path = written(tmp_path, content, f"records.{ending}")
    dataset = open_dataset(path, field="caption")
    assert dataset.class_names == ["a", "b"]
    label = dict(rows)
    assert [label[text] for text in texts_of(dataset)] == ["ab"[c] for c in dataset.classes]
    plain = open_dataset(path, field="caption", conditional=False)
    assert plain.class_names == []
    assert any("ignored" in note for note in plain.notes)


def test_a_class_is_never_held_out_whole_and_labels_that_are_no_classes_are_ignored(tmp_path):
    def labelled(labels):
        rows = [json.dumps({"text": text, "label": label}) for text, label in zip(CAPTIONS, labels, strict=True)]
        return open_text(written(tmp_path, "\n".join(rows), "a.jsonl"))

    rare = labelled(["common"] * 75 + list("abcde"))
    assert rare.classes.unique().tolist() == list(range(6))
    each = labelled(map(str, range(80)))
    assert each.class_names == []
    assert any("are no classes" in note for note in each.notes)
    some = labelled(["a", None] * 40)
    assert some.class_names == []
    assert any("40 texts have no label" in note for note in some.notes)


def test_words_that_occur_once_cannot_be_learnt(tmp_path):
    path = written(tmp_path, "\n".join(f"word{i}" for i in range(100)))
    with pytest.raises(DataError, match="char or bpe"):
        open_text(path, tokenizer="word")


def test_what_is_too_long_or_unknown_is_counted(tmp_path):
    path = written(tmp_path, "\n".join([*CAPTIONS, "one much longer caption " * 9]))
    assert any("1 of 81 texts are longer than 7" in note for note in open_text(path).notes)
    dataset = open_text(path, vocabulary=5)
    assert any("outside the vocabulary" in note for note in dataset.notes)
    assert len(dataset.vocabulary) == 7


def test_the_command_data_counts_with_a_vocabulary_as_train_does(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, "\n".join(CAPTIONS))
    assert cli.main(["data", path, "--vocabulary", "5", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["fingerprint"] == open_dataset(path, vocabulary=5).fingerprint != open_dataset(path).fingerprint
    assert "80 texts hold symbols outside the vocabulary" in " ".join(facts["notes"])
    fails(capsys, "data", path, "--vocabulary", "0", saying="--vocabulary: takes a whole number above 0, not 0")
    fails(capsys, "data", "digits", "--vocabulary", "5", saying="vocabulary has no effect on samples like digits")


def test_numbers_stay_series_and_words_are_text(tmp_path):
    numbers = written(tmp_path, "\n".join(f"{i},{i * i}.5" for i in range(100)), "numbers.txt")
    assert open_dataset(numbers, window=10).channels is not None
    assert open_dataset(numbers, tokenizer="char").vocabulary is not None
    assert open_dataset(written(tmp_path, "\n".join(["Ann", "Bo", "Nan", *CAPTIONS]))).vocabulary is not None


def test_names_are_built_in():
    names = open_dataset("names")
    assert (len(names), len(names.held_out)) == (4157, 1000)
    assert {"Maria", "Walter"} <= set(texts_of(names)) | set(texts_of(names.held_out))
    assert names.fingerprint == open_dataset("names").fingerprint


@pytest.mark.parametrize(
    ("content", "name", "options", "says"),
    [
        ("", "a.txt", {}, "holds no text"),
        ("one\ntwo\n", "a.txt", {}, f"at least {FEWEST} are needed"),
        (b"\0\1\2" * 100, "a.txt", {}, "binary"),
        ("grüße\n".encode("latin-1") * 100, "a.txt", {}, "not UTF-8"),
        ("word " * 30_000, "a.txt", {}, "one sample on each line"),
        ("words and words\n" * 100, "a.txt", {"field": "text"}, "has no fields"),
        ('{"text": "a"}\nnot json\n', "a.jsonl", {}, "line 2 is not JSON"),
        ("[1]\n", "a.jsonl", {}, "not a JSON object"),
        ('{"a": "x", "b": "y"}\n', "a.jsonl", {}, "--data.field"),
        ('{"a": "x"}\n{"b": "y"}\n', "a.jsonl", {}, "record 2 has no text 'a'"),
        ("a,b\nx,y\n", "a.csv", {"field": "c"}, "its fields are a, b"),
        ("a long line of words\n" * 100, "a.txt", {"length": 2}, "a larger --data.length"),
        ("words\n" * 100, "a.txt", {"window": 4}, "--data.window has no effect on texts"),
        ("words\n" * 100, "a.txt", {"resolution": 4}, "--data.resolution has no effect on texts"),
    ],
)
def test_bad_input_says_what_to_do(tmp_path, content, name, options, says):
    with pytest.raises(DataError, match=says) as caught:
        open_dataset(written(tmp_path, content, name), **options)
    assert "\n" not in str(caught.value)


def test_settings_of_texts_are_refused_for_others():
    with pytest.raises(DataError, match=r"--data\.tokenizer has no effect on samples"):
        open_dataset("digits", tokenizer="char")
