"""UIDs, AE titles, patients and short ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.identity import Patient, derived_uid, is_ae_title, is_uid, short_id


@pytest.mark.parametrize("text", ["1.2.840.10008", "2.25.1", "0", "1." * 31 + "12"])
def test_uids_are_recognised(text: str) -> None:
    assert is_uid(text)


@pytest.mark.parametrize(
    "text", ["", "..", "../../x", "/abs", "1..2", ".1", "1.", "1.2\n", "1.2\\1.3", "1" * 65, "1.a", "१.२", "1.2\0"]
)
def test_what_is_no_uid_is_refused(text: str) -> None:
    assert not is_uid(text)


@given(st.text(max_size=20))
def test_ae_titles_are_printable_and_at_most_16_long(text: str) -> None:
    if is_ae_title(text):
        assert 1 <= len(text) <= 16
        assert text.isascii()
        assert text.isprintable()
        assert "\\" not in text
        assert text.strip()


def test_issuers_conflict_only_when_both_are_present() -> None:
    ours, unissued, other = Patient("1", "A"), Patient("1", ""), Patient("1", "B")

    assert ours.same_as(unissued)
    assert unissued.same_as(other)
    assert not ours.same_as(other)


def test_padding_is_no_part_of_an_identity() -> None:
    assert Patient.of("1 ", None) == Patient("1", "")


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_derived_uids_are_valid_and_repeatable(parts: list[str]) -> None:
    assert is_uid(derived_uid(*parts))
    assert derived_uid(*parts) == derived_uid(*parts)


def test_parts_do_not_run_together() -> None:
    assert derived_uid("ab", "c") != derived_uid("a", "bc")
    assert short_id("s", "ab", "c") != short_id("s", "a", "bc")
