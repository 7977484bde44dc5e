"""Which of two forms goes: the one that is taken, never both, and none that is not there."""

import pytest

from node.core.forms import Forms, form_to_send

NOTICES = frozenset({"notice"})
LABELS, BINARY = frozenset({"seg@l", "sr@l"}) | NOTICES, frozenset({"seg", "sr"}) | NOTICES
EITHER = Forms(LABELS, BINARY)


@pytest.mark.parametrize(
    ("encoded", "begun", "refused", "wanted"),
    [
        (LABELS, (), False, LABELS),
        (BINARY, (), False, BINARY),  # nothing is gained by encoding label maps now
        (LABELS | BINARY, (), False, LABELS),
        (LABELS | BINARY, (), True, BINARY),
        (LABELS, (), True, None),
        (LABELS | BINARY, ("sr@l",), True, LABELS),  # begun: two reports of one run would be worse
        (LABELS | BINARY, ("sr",), False, BINARY),
        (NOTICES, (), True, BINARY),
        (NOTICES, ("notice",), False, LABELS),
        ((), (), False, LABELS),
    ],
)
def test_one_form_goes(
    encoded: frozenset[str], begun: tuple[str, ...], refused: bool, wanted: frozenset[str] | None
) -> None:
    assert form_to_send(EITHER, encoded=encoded, begun=begun, is_first_refused=refused) == wanted


def test_where_there_is_no_choice_nothing_is_waited_for() -> None:
    assert form_to_send(Forms(BINARY), encoded=LABELS, begun=(), is_first_refused=True) == BINARY


def test_a_set_that_was_begun_is_gone_on_with_less_what_is_wanted_no_more() -> None:
    """Somebody took "gsps" from the peer's renditions, because its archive refuses it: no second set goes there."""
    encoded, begun = {"seg@a", "gsps@a", "sr@a", "seg@b"}, {"seg@a"}

    found = form_to_send(Forms(frozenset({"seg", "sr"})), encoded=encoded, begun=begun, is_first_refused=False)

    assert found == {"seg@a", "sr@a"}
