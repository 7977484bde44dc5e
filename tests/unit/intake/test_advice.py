"""Every way in which an association does not end well says what to do, and on which side."""

import pytest

from node.intake.advice import ADVICE, Cause, advised
from node.intake.pdu import Breach
from node.intake.wire import Ended


def test_there_is_advice_for_every_cause() -> None:
    assert set(ADVICE) == set(Cause)


@pytest.mark.parametrize("cause", list(Cause))
def test_advice_names_a_side(cause: Cause) -> None:
    """The sender's, ours by a setting, or the network between."""
    words = ADVICE[cause]

    assert any(side in words for side in ("sender", ".toml", "log", "node"))
    assert not words.endswith(".")
    assert len(advised("x" * 100, cause)) < 400


def test_errors_carry_their_advice() -> None:
    assert str(Breach("a command is garbled")) == f"a command is garbled: {ADVICE[Cause.PROTOCOL]}"
    assert str(Ended("nothing came", Cause.IDLE)) == f"nothing came: {ADVICE[Cause.IDLE]}"
    assert str(Ended()) == ""
