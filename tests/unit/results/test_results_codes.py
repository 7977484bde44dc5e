"""Codes of cards: a slip that turns one concept into another is told before it reaches a PACS."""

from dataclasses import replace

from ai.contract import Code
from node.jobs.catalogue import installed_models
from node.results.code_check import doubtful_codes
from tests.unit.results.made import CARD, FINDING_CARD


def with_type(code: Code) -> list[str]:
    segments = (replace(CARD.segments[0], type=code), *CARD.segments[1:])
    return doubtful_codes(replace(CARD, segments=segments))


def test_a_code_with_another_meaning_is_doubted() -> None:
    """The liver's code under the lung's name."""
    (fault,) = with_type(Code("10200004", "SCT", "Lung"))

    assert "Liver" in fault


def test_a_scheme_that_nobody_knows_is_doubted() -> None:
    (fault,) = with_type(Code("1", "ISOCENTER", "Lung"))

    assert "must begin with 99" in fault


def test_the_case_of_a_meaning_and_codes_beyond_the_dictionary_are_not_doubted() -> None:
    assert with_type(Code("39607008", "SCT", "lung")) == []
    assert with_type(Code("233604007", "SCT", "Pneumonia")) == []


def test_cards_in_use_are_sound() -> None:
    """Of the tests, and of every model that is installed."""
    assert doubtful_codes(FINDING_CARD) == []
    assert {name: doubtful_codes(model.card) for name, model in installed_models().items()} == {
        "hippocampus": [],
        "lung-ct": [],
    }
