import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparring.data.vocabulary import (
    BYTES,
    END,
    MAX_UNSPACED,
    SPECIAL,
    UNKNOWN,
    Vocabulary,
    clean,
    describe_symbols,
    split_symbols,
    target_mask,
)

LINES = ["a cat, a dog.", "don't feed the cat!", "the cat's “owner” sleeps; 3 dogs bark"]
SCRIPTS = ["我们在北京吃饭。", "नमस्ते दुनिया", "Žluťoučký kůň", "👩‍🚀 goes home", "e\u0301te\u0301"]


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_texts_of_any_script_come_back_as_they_were(tokenizer):
    if tokenizer == "bpe":
        pytest.importorskip("tokenizers")
    texts = [clean(line) for line in LINES + SCRIPTS]
    vocabulary = Vocabulary.learn(texts * 2, tokenizer, 1000)
    length = max(len(vocabulary.ids(text)) for text in texts)
    stored = vocabulary.encode(texts, length)
    assert vocabulary.decode(stored) == texts
    assert stored.max() < len(vocabulary)
    again = Vocabulary.from_dict(vocabulary.to_dict())
    assert again == vocabulary
    assert again.decode(stored) == texts


CHINESE = [
    f"{time}{who}{does}{what}。"
    for time in ("今天", "明天", "早上", "")
    for who in ("我们", "老师", "小猫")
    for does in ("喜欢", "看见", "买了")
    for what in ("苹果", "自行车", "红色的帽子")
]
THAI = [f"{who}{does}{what}" for who in ("ฉัน", "แมวดำ") for does in ("เห็น", "ชอบ") for what in ("บ้านหลังใหญ่", "ทะเลสาบ")]


@pytest.mark.parametrize("texts", [CHINESE, THAI, CHINESE * 3], ids=["Chinese", "Thai", "each thrice"])
def test_byte_pairs_of_scripts_without_spaces_are_words_not_sentences(texts):
    pytest.importorskip("tokenizers")
    vocabulary = Vocabulary.learn(texts, "bpe", 2000)
    spelled = [vocabulary.spell(index).strip() for index in range(BYTES, len(vocabulary.symbols))]
    assert 1 < max(map(len, spelled)) <= MAX_UNSPACED
    assert min(len(vocabulary.ids(text)) for text in texts) >= 3
    assert sum(len(vocabulary.ids(text)) for text in texts) < sum(map(len, texts))  # words, not characters


def test_byte_pairs_that_occur_once_are_no_symbols_and_long_english_words_are_whole():
    pytest.importorskip("tokenizers")
    vocabulary = Vocabulary.learn([*LINES, "incomprehensibilities"] * 2 + ["xylophone"], "bpe", 2000)
    spelled = {vocabulary.spell(index) for index in range(len(vocabulary.symbols))}
    assert " incomprehensibilities" in spelled
    assert " xylophone" not in spelled


def test_byte_pairs_are_described_as_they_are_read():
    pytest.importorskip("tokenizers")
    note = describe_symbols(Vocabulary.learn(CHINESE, "bpe", 2000))
    shown = note.split("the last learnt ")[1]
    assert any(character in shown for character in "".join(CHINESE))
    assert not any("\u00a1" <= character <= "\u02ff" or character == "�" for character in shown)


@given(st.text())
def test_any_text_survives_its_characters(text):
    text = clean(text)
    assert clean(text) == text
    vocabulary = Vocabulary.learn([text], "char", 10_000)
    assert vocabulary.text(vocabulary.ids(text)) == text


def test_words_keep_their_space_and_marks_stand_alone():
    assert split_symbols("a cat, don't", "word") == [" a", " cat", ",", " don't"]


def test_the_rarest_symbols_are_unknown():
    vocabulary = Vocabulary.learn(["a a b", "a c b"], "word", 9)
    assert vocabulary.symbols == (" a", " b")  # a word that occurs once cannot be learnt
    assert Vocabulary.learn(["aab"], "char", 1).symbols == ("a",)
    assert vocabulary.ids("c a") == [UNKNOWN, SPECIAL]
    assert vocabulary.text([UNKNOWN, SPECIAL]) == "� a"


def test_what_is_too_long_is_cut_and_what_is_short_filled_up():
    vocabulary = Vocabulary.learn(["abc"], "char", 10)
    assert vocabulary.encode(["abc", "a"], 2).tolist() == [[2, 3], [2, END]]
    assert vocabulary.text([2, END, 3]) == "a"


def test_nothing_that_controls_a_terminal_is_ever_spelled():
    stranger = Vocabulary("char", ("\x1b", "[", "3", "1", "m", "\u202e", "\ud800", "\u200f", "\ufeff"))
    shown = stranger.text([2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert shown == "[31m"
    shown.encode("utf-8")


@pytest.mark.parametrize(
    "values", [{"tokenizer": "magic", "symbols": []}, {"tokenizer": "bpe", "symbols": [], "merges": "abc"}]
)
def test_a_strangers_nonsense_is_refused(values):
    with pytest.raises(ValueError, match=r"tokenizer|unpack"):
        Vocabulary.from_dict(values)


def test_a_strangers_byte_pairs_that_make_no_sense_are_refused():
    pytest.importorskip("tokenizers")
    with pytest.raises(ValueError, match="byte pairs are invalid"):
        Vocabulary("bpe", ("a",), (("b", "c"),)).decode(torch.tensor([[2]]))
    with pytest.raises(ValueError, match=r"a larger --data\.vocabulary"):
        Vocabulary.learn(LINES, "bpe", 256)


def test_the_mask_of_targets():
    texts = torch.tensor([[2, UNKNOWN, 3, END, END], [2, 3, 4, 5, 6], [END] * 5])
    assert target_mask(texts).int().tolist() == [[1, 0, 1, 1, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]
