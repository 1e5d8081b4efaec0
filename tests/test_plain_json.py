import pytest

from sparring.plain_json import read_json


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 50_000 + "]" * 50_000, "", "{", "9" * 5000])
def test_no_text_ends_but_in_a_value_error(text):
    for form in (text, text.encode()):
        with pytest.raises(ValueError, match=r"nested too deeply|Expect|Exceeds"):
            read_json(form)


def test_json_is_read():
    assert read_json('{"a": [1, 2.5, null]}') == read_json(b'{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
