import importlib.util
import itertools
import json

import pytest
import torch

from sparring import cli
from sparring.data import DataError
from sparring.data.text import FEWEST, open_text
from sparring.modalities.registry import open_dataset

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
    def labelled(labels, **settings):
        rows = [json.dumps({"text": text, "label": label}) for text, label in zip(CAPTIONS, labels, strict=True)]
        return open_text(written(tmp_path, "\n".join(rows), "a.jsonl"), **settings)

    rare = labelled(["common"] * 75 + list("abcde"))
    assert rare.classes.unique().tolist() == list(range(6))
    if importlib.util.find_spec("tokenizers"):
        rare = labelled(["common"] * 75 + list("abcde"), tokenizer="bpe")
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
    fails(
        capsys,
        "data",
        path,
        "--vocabulary",
        "0",
        saying="--vocabulary: takes a whole number from 1",
    )
    fails(capsys, "data", "digits", "--vocabulary", "5", saying="vocabulary has no effect on samples like digits")


def test_byte_pairs_are_learnt_from_the_training_texts_alone(tmp_path):
    """Each text has a word of its own, twice: whose it is says which texts were looked at."""
    pytest.importorskip("tokenizers")
    words = [
        "".join("aeiou"[int(digit)] + "bdfgk"[int(digit)] for digit in f"{row // 25}{row // 5 % 5}{row % 5}")
        for row in range(100)
    ]
    path = written(tmp_path, "\n".join(f"{word} {word}" for word in words))
    dataset = open_text(path, tokenizer="bpe")
    assert len(dataset) - 80 == 20 - len(dataset.held_out) <= 1  # the first of a class is never held out
    vocabulary = dataset.vocabulary
    learnt = {vocabulary.spell(index).strip() for index in range(len(vocabulary.symbols))}
    assert len({text.split()[0] for text in texts_of(dataset)} & learnt) >= 80
    assert not learnt & {text.split()[0] for text in texts_of(dataset.held_out)}
    assert sorted(texts_of(dataset) + texts_of(dataset.held_out)) == sorted(f"{word} {word}" for word in words)


def test_the_command_train_takes_a_vocabulary_and_a_length_as_data_does(tmp_path, capsys):
    path = written(tmp_path, "\n".join(CAPTIONS))
    fails(capsys, "train", path, "--vocabulary", "0", saying=r"--data\.vocabulary must lie between 1 and")
    fails(capsys, "train", path, "--length", "4", saying="holds 0 texts of up to 4 symbols")


def test_the_command_train_refuses_fewer_texts_than_a_batch(tmp_path, capsys):
    path, out = written(tmp_path, "\n".join(CAPTIONS)), tmp_path / "run"
    fails(capsys, "train", path, "--batch-size", "256", "--out", out, saying=r"--train\.batch_size 256: lower it to 64")
    assert not out.exists()


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
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "a.txt", {}, "is a binary file, not a text"),
        (b"fine\n" * 30_000 + "grüße\n".encode("latin-1"), "a.txt", {}, r"not UTF-8 \(line 30001\): save it as UTF-8"),
        (b"fine\nfine\n\xe6\x88", "a.txt", {}, r"not UTF-8 \(line 3\)"),
        ("我们\n".encode("gbk") * 100, "a.txt", {}, r"not UTF-8 \(line 1\)"),
        ("words\n".encode("utf-16"), "a.txt", {}, "is UTF-16: save it as UTF-8"),
        ("word " * 30_000, "a.txt", {}, "one sample on each line"),
        ("words and words\n" * 100, "a.txt", {"field": "text"}, "has no fields"),
        ('{"text": "a"}\nnot json\n', "a.jsonl", {}, "line 2 is not JSON"),
        ("[1]\n", "a.jsonl", {}, "not a JSON object"),
        ('{"a": "x", "b": "y"}\n', "a.jsonl", {}, "--data.field"),
        ('{"a": "x"}\n{"b": "y"}\n', "a.jsonl", {}, "line 2 has no field 'a'; its fields are b"),
        ('{"a": "x"}\n\n{"a": null}\n', "a.jsonl", {}, "line 3 has no value for 'a': add a value"),
        ('{"id": 1, "text": null}\n', "a.jsonl", {}, "line 1 has no value for 'text'"),
        ('{"a": "x"}\n{"a": 3}\n', "a.jsonl", {}, "the 'a' of line 2 is 3, not text"),
        ("id,body\n1,x\n2\n", "a.csv", {"field": "body"}, "line 3 has no value for 'body'"),
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
