"""What a card's tables say where a key is missing or of the wrong type."""

import pytest

from ai.errors import CardInvalid
from ai.tables import TableReader


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"nmae": "x"}, "card.toml: name is missing, and 'nmae' is there: give it as a text"),
        ({"version": "1"}, "card.toml: name is missing: give it as a text"),
        ({"name": 1}, "card.toml: name must be a text, found 1"),
    ],
)
def test_a_key_that_is_not_as_it_should_be_is_told(table: dict[str, object], words: str) -> None:
    with pytest.raises(CardInvalid) as told:
        TableReader(table, "card.toml").take("name", str)

    assert str(told.value) == words


def test_numbers_and_truths_are_told_in_words() -> None:
    reader = TableReader({"low": "1", "flag": 1, "count": 1.5}, "card.toml")
    for key, kind, words in (("low", float, "a number"), ("flag", bool, "true or false"), ("count", int, "a whole")):
        with pytest.raises(CardInvalid, match=f"{key} must be {words}"):
            reader.take(key, kind)
