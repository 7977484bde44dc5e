"""Conditions in CEL: true, false, or undecided with the attribute that is absent."""

import pytest

from node.conditions import STACK_NAMES, STUDY_NAMES, Undecided, compile_condition, compile_preference
from node.core.routing import Arrival, stack_names, study_names
from node.core.stacks import split_into_stacks
from node.errors import ConfigurationInvalid
from tests.makers.ledger import ct_slice

SEEN = {"study": {"modalities": ["CT"], "patient_age_y": 17.5}, "stack": {"slice_count": 133, "spacing_mm": 2.5}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("'CT' in study.modalities", True),
        ("study.patient_age_y >= 18", False),
        ("study.description == 'X'", Undecided("description is absent")),
        ("has(study.description)", False),
        ("study.description == 'X' || true", True),
        ("study.description == 'X' && 'MR' in study.modalities", False),
        ("study.modalities.exists(one, one == 'CT')", True),
        ("'study.nonsense' == 'x'", False),
    ],
)
def test_conditions_on_a_study(text: str, expected: object) -> None:
    assert compile_condition(text, of_stack=False)(SEEN) == expected


def test_an_attribute_that_is_true_or_false_is_a_condition() -> None:
    assert compile_condition("stack.contrast", of_stack=True)({"stack": {"contrast": True}}) is True


def test_whole_and_decimal_numbers_compare() -> None:
    assert compile_condition("stack.slice_count > 20.5", of_stack=True)(SEEN) is True


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("study.modalties == 1", "did you mean study.modalities"),
        ("stack.modality == 'CT'", "only study"),
        ("study.modalities", "neither true nor false"),
        (" study.stack_count ", "neither true nor false"),
        ("size(study.modalities)", "neither true nor false"),
        ("study.modalities ==", "line 1, column 20: Syntax error"),
        ("study.date ==\n'2026' &&& true", "line 2, column 10: Syntax error"),
        ("'a' == 1", "no matching overload"),
        ("import os", "reserved identifier"),
    ],
)
def test_what_cannot_be_used_is_told_when_it_is_read(text: str, told: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=told):
        compile_condition(text, of_stack=False)


def test_a_condition_that_gives_no_verdict_is_undecided() -> None:
    assert compile_condition("[study.patient_age_y][0]", of_stack=False)(SEEN) == Undecided(
        "it gives 17.5, neither true nor false"
    )


def test_preferences_are_numbers_and_true_counts_one() -> None:
    assert compile_preference("-stack.spacing_mm")(SEEN) == -2.5
    assert compile_preference("stack.slice_count > 100")(SEEN) == 1.0
    assert compile_preference("stack.kernel == 'B30f'")(SEEN) == Undecided("kernel is absent")


def test_every_name_a_condition_may_use_is_really_given() -> None:
    facts = [
        ct_slice(
            number,
            study_description="x", patient_age_y=40.0, patient_sex="F", study_date="20260101", accession_number="1",
            body_part="CHEST", series_description="x", kernel="B", contrast=True, laterality="L", view="PA",
        )
        for number in (1, 2, 3)
    ]  # fmt: skip
    stacks = split_into_stacks(facts)

    assert set(study_names(facts, stacks, Arrival("pacs", "A", "B"))) == STUDY_NAMES
    assert set(stack_names(stacks[0])) == STACK_NAMES
