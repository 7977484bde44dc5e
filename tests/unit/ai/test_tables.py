"""What a card's tables say where a key is missing or of the wrong type."""

from pathlib import Path

import pytest

from ai.card import read_card
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


HALF_A_CARD = """
name = "half"
versoin = "1.0.0"
vendor = "Tests"
title = "A card that is half written"
memory_mb = 500
timeout_s = 60
reference = "ct"

[[input]]
name = "ct"

[[segment]]
key = "a"
label = "A"

[[map]]
key = "b"
label = "B"
quantity = ["130404", "DCM", "Saliency"]
unit = ["1", "UCUM", "no units"]

[[segment]]
key = "c"
label = " C"
category = ["85756007", "SCT", "Tissue"]
type = ["85756007", "SCT", "Tissue"]
site = ["39607008", "SCT", "Lung"]
colour = "red"
"""


def test_all_that_is_missing_in_a_card_is_told_at_once(tmp_path: Path) -> None:
    """Whoever writes a first card would else learn its keys one by one."""
    card = tmp_path / "card.toml"
    card.write_text(HALF_A_CARD)

    with pytest.raises(CardInvalid) as told:
        read_card(card)

    assert str(told.value).replace(f"{card}", "card.toml").splitlines() == [
        "card.toml: these are missing: version, and 'versoin' is there (a text); intended_use (a text); "
        "licence (a text)",
        "card.toml [[input]] 1: modality is missing: give it as a text",
        'card.toml [[segment]] 1: these are missing: category (["value", "scheme", "meaning"]); '
        'type (["value", "scheme", "meaning"]); site (["value", "scheme", "meaning"]); colour (a text)',
        "card.toml [[segment]] 2: colour must be written as \"#rrggbb\", found 'red'",
        "card.toml [[map]] 1: shown is missing: give it as [lowest, highest]",
    ]
