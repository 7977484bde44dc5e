"""Every way not to take an instance has its answer."""

import pytest

from node.errors import IntakeError, SpoolFull, Unreadable
from node.intake.status import COMMENT_LENGTH, STATUS, answer_to, our_fault


def leaves(kind: type[IntakeError]) -> set[type[IntakeError]]:
    below = kind.__subclasses__()
    return {kind} if not below else set().union(*map(leaves, below))


def test_the_table_is_total() -> None:
    """A new leaf of IntakeError needs a row here."""
    assert set(STATUS) == leaves(IntakeError)


@pytest.mark.parametrize(("status", "comment"), [*STATUS.values(), (0x0110, our_fault("0123abcd").comment)])
def test_comments_fit_into_error_comment(status: int, comment: str) -> None:
    """LO: 64 characters of the default repertoire, no backslash."""
    assert 0 < len(comment) <= COMMENT_LENGTH
    assert comment.isascii()
    assert "\\" not in comment
    assert status & 0xF000 in (0x0000, 0xA000, 0xC000)


def test_the_offending_element_is_passed_on() -> None:
    """What the error knows, the sender is told."""
    assert answer_to(Unreadable("x", 0x00080018)).offending_tag == 0x00080018
    assert answer_to(SpoolFull("x")).offending_tag is None


def test_a_fault_of_ours_carries_its_id() -> None:
    """0110, never 0xC211; the id finds the log."""
    assert our_fault("0123abcd").status == 0x0110
    assert "0123abcd" in our_fault("0123abcd").comment
